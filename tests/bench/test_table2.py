#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table2.py on made-up sets: its measures, the limit, what a kill leaves, the report. Skips without NumPy.
Usage: test_table2.py path/to/libdum.so"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

import table2
import table2_report

LIB = sys.argv.pop(1)
RUNNER = pathlib.Path(__file__).with_name("table2.py")
# Demsar 2006, table 6: AUC of four classifiers on 14 sets; he gives mean ranks, chi-square 9.28, F 3.69, difference 1.25. (0.9751 is
# 0.975 there, a tie by its digits, but ranked before the other.)
DEMSAR = [[.763, .599, .954, .628, .882, .936, .661, .583, .775, 1, .940, .619, .972, .957],
          [.768, .591, .971, .661, .888, .931, .668, .583, .838, 1, .962, .666, .981, .978],
          [.771, .590, .968, .654, .886, .916, .609, .563, .866, 1, .965, .614, .9751, .946],
          [.798, .569, .967, .657, .898, .931, .685, .625, .875, 1, .962, .669, .975, .970]]


def command(folder, suite, *more):
    return [sys.executable, str(RUNNER), "--lib", LIB, "--data", str(folder), "--suite", suite, "--out", str(folder / "out"), "--seeds", "2", *more]


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Measures(unittest.TestCase):
    def test_against_all_pairs(self):
        random = np.random.default_rng(3)
        for _ in range(20):
            scores, labels = random.integers(0, 9, 40).astype(float), random.integers(0, 2, 40)
            ones, zeros = scores[labels == 1], scores[labels == 0]
            pairs = (ones[:, None] > zeros).mean() + (ones[:, None] == zeros).mean() / 2
            self.assertAlmostEqual(table2.auroc(scores, labels), pairs)
            precision = [labels[scores >= s].mean() for s in ones]
            self.assertAlmostEqual(table2.average_precision(scores, labels), np.mean(precision))

    def test_minmax(self):
        x = np.array([[1, 5], [3, 5], [2, 5]], dtype=np.float32)
        self.assertEqual(table2.minmax(x).tolist(), [[0, 0], [1, 0], [0.5, 0]])

    def test_friedman(self):
        cells = {f"{n}|default|{m}": {"auroc": [v], "n": 1, "d": 1, "seeds": 1} for m, row in enumerate(DEMSAR) for n, v in enumerate(row)}
        found = table2_report.friedman(table2_report.Cells(cells, "default", []), ["0", "1", "2", "3"])
        for rank, wanted in zip(found["ranks"].values(), (3.143, 2.000, 2.893, 1.964)):
            self.assertAlmostEqual(rank, wanted, 3)
        self.assertAlmostEqual(found["chi"], 9.28, 2)
        self.assertAlmostEqual(found["f"], 3.69, 2)
        self.assertAlmostEqual(found["difference"], 1.25, 2)
        self.assertAlmostEqual(table2_report.chi_square_tail(7.814728, 3), 0.05, 6)
        self.assertAlmostEqual(table2_report.chi_square_tail(9.487729, 4), 0.05, 6)

    def test_cliques(self):
        found = {"ranks": {"a": 1, "b": 1.9, "c": 2.8, "d": 5}, "difference": 1}
        self.assertEqual(table2_report.cliques(found), [["a", "b"], ["b", "c"]])


class Runner(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        random = np.random.default_rng(0)
        for name, rows in (("uci/pima", 80), ("adbench/tabular-a", 60), ("adbench/vit-b", 90)):
            (self.folder / name).mkdir(parents=True)
            y = (np.arange(rows) % 10 == 0).astype(np.uint8)
            np.save(self.folder / name / "X.npy", (random.normal(size=(rows, 3)) + 9 * y[:, None]).astype(np.float32))
            np.save(self.folder / name / "y.npy", y)

    def run_it(self, *more):
        return subprocess.run(command(self.folder, *more), check=True, capture_output=True, text=True, timeout=120).stdout

    def cells(self):
        return json.loads((self.folder / "out.json").read_text())["cells"]

    def page(self):
        xml.etree.ElementTree.parse(self.folder / "out.svg")
        return (self.folder / "out.md").read_text()

    def test_over_the_limit(self):
        self.run_it("uci", "--methods", "knn", "--limit", "0")
        self.assertEqual({(k, c["end"], len(c["auroc"])) for k, c in self.cells().items()},
                         {("pima|minmax|knn", "over", 0), ("pima|default|knn", "over", 0)})
        self.assertIn("| pima | /o (70.8) |", self.page())
        self.assertIn("| pima | /o |", self.page())
        self.run_it("uci", "--methods", "knn", "--again", "minmax")
        self.assertGreater(self.cells()["pima|minmax|knn"]["auroc"][0], 0.9)
        self.assertEqual(self.cells()["pima|default|knn"]["end"], "over")

    def test_killed_and_run_again(self):
        methods = "ecod,knn,dum"
        process = subprocess.Popen(command(self.folder, "uci", "--methods", methods), stdout=subprocess.DEVNULL)
        end, children = time.monotonic() + 60, []
        while not ((self.folder / "out.json").exists() and len(self.cells()) == 2 and children):  # then dum runs, for seconds
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            self.assertLess(time.monotonic(), end)
        process.kill()
        process.wait()
        before = self.cells()
        while any(running(pid) for pid in children):
            self.assertLess(time.monotonic(), end, "a child outlives the runner")
            time.sleep(0.01)
        printed = self.run_it("uci", "--methods", methods)
        after = self.cells()
        self.assertEqual(len(after), 6)
        for key, cell in before.items():
            self.assertEqual(after[key], cell)
            self.assertNotIn(key, printed)
        self.assertEqual(self.run_it("uci", "--methods", methods), "")

    def test_methods_and_seeds(self):
        self.run_it("uci", "--methods", "iforest,ecod,lof,dum-poe")
        cells = self.cells()
        self.assertEqual([len(cells[f"pima|minmax|{m}"]["auroc"]) for m in ("iforest", "ecod", "lof", "dum-poe")], [2, 1, 1, 2])
        self.assertEqual(cells["pima|minmax|lof"]["options"], {"scaling": "none"})
        self.assertEqual(cells["pima|default|lof"]["options"], {"scaling": "zscore"})
        self.assertEqual(cells["pima|minmax|ecod"]["options"], {})
        self.assertEqual(cells["pima|minmax|dum-poe"]["options"], {"preset": "paper", "width": 256, "scaling": "none"})

    def test_refused(self):
        bad = np.load(self.folder / "uci/pima/X.npy")
        bad[3, 1] = np.inf
        np.save(self.folder / "uci/pima/X.npy", bad)
        self.run_it("uci", "--methods", "knn")
        self.assertIn("row 3", self.cells()["pima|default|knn"]["end"])
        self.assertIn("| pima | err |", self.page())

    def test_adbench(self):
        (self.folder / "out.md").write_text("# Words of a reader\n")
        self.run_it("adbench", "--methods", "knn,ecod,hbos")
        page = self.page()
        self.assertTrue(page.startswith("# Words of a reader\n<!-- table2.py -->"))
        self.assertIn("Friedman: chi-square", page)
        self.run_it("adbench", "--report")
        self.assertEqual(self.page(), page)
        self.run_it("adbench", "--methods", "lof", "--sets", "vit")
        self.assertIn("not been run on every set: lof", self.page())
        self.assertNotEqual(subprocess.run(command(self.folder, "uci"), capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
