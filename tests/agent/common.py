# SPDX-License-Identifier: MIT
"""What the tests of the agent share: starting it, feeding it, reading its metrics."""
import http.client
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import time

COLS = 3
LABEL = re.compile(r'^(\w+)\{monitor="([^"]*)"[^}]*\} (\S+)$')


def make_rows(count, seed, sd=1.0):
    rng = random.Random(seed)
    return [[rng.gauss(0, sd) for _ in range(COLS)] for _ in range(count)]


def as_csv(rows):
    return "".join(",".join(f"{x:.9g}" for x in row) + "\n" for row in rows).encode()


def as_floats(rows):
    return b"".join(struct.pack(f"<{COLS}f", *row) for row in rows)


def parse(text):
    """Name -> value."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = LABEL.match(line).groups()
            assert name not in found, f"{name} comes twice"
            found[name] = float(value)
    return found


def wait_for(condition, what, seconds=120):
    """A limit for what hangs, not a measure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"did not happen: {what}")


class Agent:
    """A running agent whose files lie in `folder`."""

    def __init__(self, program, folder, *arguments, reference=True, stdin=subprocess.PIPE, use_socket=True, port=False,
                 preexec_fn=None):
        self.folder = folder
        self.metrics_file, self.socket = folder / "a.prom", folder / "rows.sock"
        command = [program, "--model", folder / "m.dum", "--state", folder / "s.dum", "--metrics", self.metrics_file]
        command += ["--interval", "0.05"] if "--interval" not in arguments else []
        command += ["--reference", folder / "ref.csv", "--set", "test=cusum", "--set", "window=100"] if reference else []
        command += ["--socket", self.socket] if use_socket else []
        command += ["--port", "0"] if port else []
        self.errors = folder / "errors.txt"
        self.output = folder / "output.txt"
        with open(self.errors, "ab") as errors, open(self.output, "ab") as output:
            self.begun = errors.tell()
            self.process = subprocess.Popen([*map(str, command), *map(str, arguments)], stdin=stdin, stdout=output,
                                            stderr=errors, preexec_fn=preexec_fn)
        if use_socket:
            wait_for(lambda: self.is_up() or self.process.poll() is not None, "the socket")
        if port:
            wait_for(lambda: b"/metrics" in self.errors.read_bytes()[self.begun:], "the port")
            said = self.errors.read_text()[self.begun:]
            self.port = int(re.search(r"127\.0\.0\.1:(\d+)", said).group(1))

    def is_up(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(str(self.socket))
        return client

    def send(self, data):
        with self.connect() as client:
            client.sendall(data)

    def metrics(self):
        return parse(self.metrics_file.read_text())

    def get(self, path="/metrics", method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def wait_rows(self, count):
        try:
            return wait_for(lambda: (m := self.metrics())["dum_rows_total"] >= count and m, f"{count} rows")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.metrics()}; {self.errors.read_text()}") from None

    def memory(self):
        """KiB of resident memory."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number, code=0):
        self.process.send_signal(number)
        found = self.process.wait(120)
        assert found == code, f"exit code {found}, expected {code}: {self.errors.read_text()}"


def prepare(dum, folder):
    """A model and a reference."""
    (folder / "train.csv").write_bytes(as_csv(make_rows(1000, 1)))
    (folder / "ref.csv").write_bytes(as_csv(make_rows(2000, 2)))
    subprocess.run([dum, "fit", "--scorer", "mahalanobis", "--data", folder / "train.csv", "--model", folder / "m.dum",
                    "--quiet"], check=True)
