# SPDX-License-Identifier: MIT
"""What table2.py makes of its cells: Markdown, a heat map, a critical-difference diagram. Standard library only."""
import json
import math
import pathlib
import statistics

PAPER = json.loads((pathlib.Path(__file__).parent / "wu_goodman_2020.json").read_text())
PAPER_COLUMN = {"iforest": "ISO", "lof": "LOF", "ocsvm": "SVM", "sp": "SP", "elliptic": "EE", "knn": "KNN", "abod": "ABOD",
                "autoencoder": "AE", "lesinn": "LeSiNN", "repen": "REPEN", "dum-poe": "DUM"}
MARK = "<!-- table2.py -->"
# Demsar 2006, table 5(a): critical values of the two-tailed Nemenyi test, alpha 0.05, for 2 to 10 methods. From 11 on it is what that
# table is: the studentized range of so many groups and infinite degrees of freedom over sqrt(2) (by SciPy's studentized_range).
Q_005 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164,
         3.219, 3.268, 3.313, 3.354, 3.391, 3.426, 3.458, 3.489, 3.517, 3.544, 3.569, 3.593, 3.616, 3.637, 3.658, 3.678, 3.696,
         3.714, 3.732, 3.749]


def paper_value(name, method):
    """Percent, or None: timeout, or not in the paper's table."""
    row, column = PAPER["sets"].get(name), PAPER_COLUMN.get(method)
    return row[PAPER["columns"].index(column)] if row and column else None


def in_paper(name, method):
    return name in PAPER["sets"] and method in PAPER_COLUMN


class Cells:
    """The cells of one preparation; means over the seeds that were done, in percent."""

    def __init__(self, cells, preparation, order):
        self.of = {tuple(k.split("|")[::2]): c for k, c in cells.items() if k.split("|")[1] == preparation}
        self.sets = sorted({name for name, _ in self.of})
        here = {m for _, m in self.of}
        self.methods = [m for m in order if m in here] + sorted(here - set(order))

    def mean(self, name, method, key="auroc"):
        cell = self.of.get((name, method))
        return 100 * statistics.fmean(cell[key]) if cell and cell[key] else None

    def folded(self, name, method):
        cell = self.of.get((name, method))
        return 100 * statistics.fmean(max(a, 1 - a) for a in cell["auroc"]) if cell and cell["auroc"] else None

    def text(self, name, method, deviation=False):
        """Mean, deviation over the seeds where asked for, and how many seeds where not all were done."""
        cell = self.of.get((name, method))
        if cell is None:
            return ""
        if not cell["auroc"]:
            return "/o" if cell["end"] == "over" else "err"
        text = f"{self.mean(name, method):.1f}"
        if deviation and len(cell["auroc"]) > 1:
            text += f" ± {100 * statistics.stdev(cell['auroc']):.1f}"
        return text + (f" ({len(cell['auroc'])})" if len(cell["auroc"]) < cell["seeds"] else "")

    def seconds(self, name, method, key):
        cell = self.of.get((name, method))
        return f"{statistics.fmean(cell[key]):.3g}" if cell and cell[key] else ""


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def head(*cells):
    return [row(*cells), "|---|" + "--:|" * (len(cells) - 1)]


def mean_over(values):
    """Of those there are, and their number where some are missing."""
    there = [v for v in values if v is not None]
    return f"{statistics.fmean(there):.1f}" + (f" ({len(there)})" if len(there) < len(values) else "") if there else ""


def table(cells):
    lines = head("set", *cells.methods)
    lines += [row(n, *(cells.text(n, m) for m in cells.methods)) for n in cells.sets]
    lines.append(row("**mean**", *(mean_over([cells.mean(n, m) for n in cells.sets]) for m in cells.methods)))
    lines.append(row("**folded mean**", *(mean_over([cells.folded(n, m) for n in cells.sets]) for m in cells.methods)))
    return lines + [""]


def beside_paper(cells):
    """The paper's columns: folded, and the paper's number in brackets; how far they are apart."""
    methods = [m for c in PAPER["columns"] for m in cells.methods if PAPER_COLUMN.get(m) == c]
    sets = [n for n in cells.sets if n in PAPER["sets"] and any((n, m) in cells.of for m in methods)]
    lines = head("set", *(f"{PAPER_COLUMN[m]} `{m}`" for m in methods))
    apart = {m: {"as it is": [], "folded": []} for m in methods}
    for n in sets:
        texts = []
        for m in methods:
            theirs, ours = paper_value(n, m), cells.folded(n, m)
            words = cells.text(n, m) if ours is None else f"{ours:.1f}"
            texts.append(f"{words} ({'/o' if theirs is None else theirs})" if words else "")
            if theirs is not None and ours is not None:
                apart[m]["folded"].append(ours - theirs)
                apart[m]["as it is"].append(cells.mean(n, m) - theirs)
        lines.append(row(n, *texts))
    for label, which, measure in (("median distance", "folded", statistics.median), ("mean distance", "folded", statistics.fmean),
                                  ("mean distance, not folded", "as it is", statistics.fmean)):
        lines.append(row(label, *(f"{measure(map(abs, apart[m][which])):.1f}" if apart[m][which] else "" for m in methods)))
    lines.append("")
    both = [(n, m) for n in sets for m in methods if paper_value(n, m) is not None and cells.folded(n, m) is not None]
    under = sum(cells.mean(n, m) < 50 for n, m in both)
    near = {limit: sum(abs(cells.folded(n, m) - paper_value(n, m)) <= limit for n, m in both) for limit in (1, 3)}
    whole = [v for values in PAPER["sets"].values() for v in values if v is not None]
    lines += [f"- The paper prints {len(whole)} numbers, {sum(v < 50 for v in whole)} of them under 50. Of our {len(both)} cells that stand beside one of "
              f"them here, {under} are under 50 before folding.",
              f"- Folded, {near[1]} of the {len(both)} are within 1 point of the paper's number and {near[3]} within 3."]
    dum = "dum-poe"
    if dum in methods:
        there = [n for n in sets if cells.folded(n, dum) is not None]

        def wins(value):
            return sum(value(n, dum) >= max((v for m in methods if m != dum and (v := value(n, m)) is not None), default=0) for n in there)

        lines.append(f"- DUM is the best (or tied) of these columns on {wins(paper_value)} of the {len(there)} sets that it was run on in the paper, on "
                     f"{wins(cells.folded)} in our run folded, and on {wins(cells.mean)} as the scores are.")
    return lines + [""]


def details(parts):
    """A table a set: each method in each preparation."""
    lines = []
    first = next(iter(parts.values()))
    for n in first.sets:
        cell = next(c for (name, _), c in first.of.items() if name == n)
        titles = [t for p in parts for t in (f"{p} AUROC", "folded", *(("paper",) if p == "minmax" else ()), "fit s", "score s")]
        lines += [f"### {n}", "", f"{cell['n']:,} rows, {cell['d']} columns, {cell['outliers']:,} outliers.", "", *head("method", *titles)]
        for m in first.methods:
            texts = [m]
            for preparation, cells in parts.items():
                folded, theirs = cells.folded(n, m), paper_value(n, m)
                texts += [cells.text(n, m, True), "" if folded is None else f"{folded:.1f}"]
                if preparation == "minmax":
                    texts.append(str(theirs) if theirs is not None else "/o" if in_paper(n, m) else "")
                texts += [cells.seconds(n, m, "fit"), cells.seconds(n, m, "score")]
            lines.append(row(*texts))
        lines.append("")
    return lines


def failures(cells):
    """What did not end well, in words."""
    found = []
    for key, cell in sorted(cells.items()):
        if "end" in cell:
            reason = f"over {cell['limit']:g} s" if cell["end"] == "over" else cell["end"]
            found.append(f"- {key.replace('|', ', ')}: {reason}; {len(cell['auroc'])} of {cell['seeds']} runs done")
    return found


def setting(results):
    limits = sorted({c["limit"] for c in results["cells"].values()})
    seeds = max((c["seeds"] for c in results["cells"].values()), default=0)
    return (f"Processor: {', '.join(results['processors'])}. At most {' or '.join(f'{s:g}' for s in limits)} s a cell, with all its seeds; "
            f"{seeds} seeds. In percent; a number in brackets behind a value: so many seeds were done in time; /o: none; err: refused, see below. "
            "Seconds are of one run, on a machine that others use, too.")


def uci(out, results, order):
    parts = {p: Cells(results["cells"], p, order) for p in ("minmax", "default")}
    titles = {"minmax": "AUROC as it is, columns to 0 to 1 (the paper's preparation)", "default": "AUROC as it is, libdum's defaults"}
    lines = [setting(results), "", "![heat map](%s.svg)" % out.name, ""]
    for preparation, words in (("minmax", "columns to 0 to 1, as the paper says"), ("default", "libdum's defaults, mostly z-scored")):
        if parts[preparation].methods:
            lines += [f"## Beside the paper: folded, the paper's number in brackets; {words}", "", *beside_paper(parts[preparation])]
    for preparation, cells in parts.items():
        lines += [f"## {titles[preparation]}", "", *table(cells)]
    lines += ["## What did not end in time", "", *failures(results["cells"]), "", "## Each set", "", *details(parts)]
    heat_map(out.with_name(out.name + ".svg"), {titles[p]: (c, p == "minmax") for p, c in parts.items()})
    return lines


def ranks_of(values):
    """1: the largest; equal ones share the mean rank; None: last."""
    keyed = [-math.inf if v is None else v for v in values]
    return [sum(o > v for o in keyed) + (sum(o == v for o in keyed) + 1) / 2 for v in keyed]


def chi_square_tail(x, freedom):
    """P(X > x), freedom a whole number."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2 == 0:
        return sum(math.exp(-half + i * math.log(half) - math.lgamma(i + 1)) for i in range(freedom // 2))
    return math.erfc(math.sqrt(half)) + sum(math.exp(-half + (i + 0.5) * math.log(half) - math.lgamma(i + 1.5)) for i in range(freedom // 2))


def friedman(cells, methods):
    """Mean ranks over the sets, the statistic of Friedman, that of Iman and Davenport, and the critical difference (Demsar 2006)."""
    rows = [ranks_of([cells.mean(n, m) for m in methods]) for n in cells.sets]
    n, k = len(rows), len(methods)
    mean = [statistics.fmean(column) for column in zip(*rows)]
    chi = 12 * n / (k * (k + 1)) * (sum(r * r for r in mean) - k * (k + 1) ** 2 / 4)
    return {"ranks": dict(zip(methods, mean)), "sets": n, "chi": chi, "p": chi_square_tail(chi, k - 1),
            "f": (n - 1) * chi / (n * (k - 1) - chi) if n * (k - 1) > chi else math.inf,
            "difference": Q_005[k - 2] * math.sqrt(k * (k + 1) / (6 * n))}


def cliques(found):
    """Longest runs of methods, by rank, in which no two are as far apart as the critical difference."""
    names = sorted(found["ranks"], key=found["ranks"].get)
    runs, last = [], -1
    for i, first in enumerate(names):
        end = max(j for j in range(i, len(names)) if found["ranks"][names[j]] - found["ranks"][first] < found["difference"])
        if end > last and end > i:
            runs.append(names[i:end + 1])
        last = max(last, end)
    return runs


def family(name):
    return "tabular" if name.startswith("tabular-") else "embeddings"


def adbench(out, results, order):
    cells = Cells(results["cells"], "default", order)
    compared = [m for m in cells.methods if all((n, m) in cells.of for n in cells.sets)]
    lines = [setting(results), ""]
    missing = [m for m in cells.methods if m not in compared]
    if missing:
        lines += [f"Not compared, since they have not been run on every set: {', '.join(missing)}.", ""]
    if len(compared) > 1 and cells.sets:
        found = friedman(cells, compared)
        groups = {g: [n for n in cells.sets if family(n) == g] for g in ("embeddings", "tabular")}
        lines += [f"![critical differences]({out.name}.svg)", "", "## Means and ranks", "",
                  *head("method", "mean rank", *(f"rank, {len(s)} {g}" for g, s in groups.items()), "mean AUROC",
                        *(f"AUROC, {g}" for g in groups), "mean AP", "best on", "median fit s", "median score s")]
        part = {g: friedman(Subset(cells, s), compared)["ranks"] for g, s in groups.items() if s}
        top = [max(v for m in compared if (v := cells.mean(n, m)) is not None) for n in cells.sets]
        for m in sorted(compared, key=found["ranks"].get):
            of = [cells.of[n, m] for n in cells.sets if cells.of[n, m]["auroc"]]
            best = sum(cells.mean(n, m) == t for n, t in zip(cells.sets, top))
            times = [f"{statistics.median(statistics.fmean(c[key]) for c in of):.3g}" if of else "" for key in ("fit", "score")]
            lines.append(row(m, f"{found['ranks'][m]:.2f}", *(f"{part[g][m]:.2f}" if g in part else "" for g in groups),
                             mean_over([cells.mean(n, m) for n in cells.sets]),
                             *(mean_over([cells.mean(n, m) for n in s]) for s in groups.values()),
                             mean_over([cells.mean(n, m, "ap") for n in cells.sets]), str(best), *times))
        small = f"{found['p']:.1e}" if found["p"] > 1e-12 else "under 1e-12"
        lines += ["", f"Friedman: chi-square {found['chi']:.1f}, {len(compared) - 1} degrees of freedom, p {small}; Iman and Davenport: F {found['f']:.1f}. "
                  f"Nemenyi, alpha 0.05, {len(compared)} methods on {found['sets']} sets: two methods differ where their mean ranks are {found['difference']:.2f} or more "
                  "apart (Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7). No difference is shown within:", ""]
        lines += [f"- {', '.join(run)}" for run in cliques(found)] + [""]
        difference_diagram(out.with_name(out.name + ".svg"), found)
    lines += ["## AUROC", "", *table(cells), "## What did not end in time", "", *failures(results["cells"]), ""]
    return lines


class Subset:
    def __init__(self, cells, sets):
        self.sets, self.mean = sets, cells.mean


def text_at(x, y, words, size=11, anchor="middle", colour="#222", more=""):
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{more}>{words}</text>'


def svg(path, width, height, parts):
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
                    'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def colour(percent):
    """Blue over 50, red under it, white at 50."""
    end = (33, 102, 172) if percent >= 50 else (178, 24, 43)
    share = abs(percent - 50) / 50
    return "#%02x%02x%02x" % tuple(round(247 + (e - 247) * share) for e in end)


def heat_map(path, panels):
    """panels: title: (cells, whether the paper's numbers stand below ours)."""
    wide, high, left, parts, top = 54, 30, 100, [], 0
    width = left + wide * max(len(c.methods) for c, _ in panels.values()) + 10
    for title, (cells, paper) in panels.items():
        parts.append(text_at(10, top + 20, title + "; blue: over 50, red: under" + ("; small: the paper's, which are folded" if paper else ""), 14, "start"))
        top += 46
        for j, m in enumerate(cells.methods):
            parts.append(text_at(left + wide * (j + 0.5), top - 6, m, 9))
        for i, n in enumerate(cells.sets):
            y = top + high * i
            parts.append(text_at(left - 6, y + 19, n, 11, "end"))
            for j, m in enumerate(cells.methods):
                x, value = left + wide * j, cells.mean(n, m)
                if (n, m) not in cells.of:
                    continue
                shade = "#d0d0d0" if value is None else colour(value)
                ink = "#222" if value is None or 20 < value < 80 else "white"
                parts.append(f'<rect x="{x}" y="{y}" width="{wide - 1}" height="{high - 1}" fill="{shade}"/>')
                theirs = paper and in_paper(n, m)
                words = cells.text(n, m) if value is None else f"{value:.1f}"
                parts.append(text_at(x + wide / 2, y + (14 if theirs else 19), words, 11, colour=ink))
                if theirs:
                    printed = paper_value(n, m)
                    parts.append(text_at(x + wide / 2, y + 25, "/o" if printed is None else printed, 8, colour=ink))
        top += high * len(cells.sets) + 20
    svg(path, width, top, parts)


def difference_diagram(path, found):
    """Demsar 2006, figure 1: methods on an axis of mean ranks, a bar over those that are not shown to differ."""
    names = sorted(found["ranks"], key=found["ranks"].get)
    k, runs, left, span = len(names), cliques(found), 150, 560
    place = lambda rank: left + span * (rank - 1) / (k - 1)
    axis, half = 70, (k + 1) // 2
    under = axis + 14 + 9 * len(runs)
    parts = [f'<path d="M{place(1):g} {axis}H{place(k):g}" stroke="#222"/>']
    for rank in range(1, k + 1):
        parts += [f'<path d="M{place(rank):.1f} {axis - 5}v5" stroke="#222"/>', text_at(round(place(rank), 1), axis - 9, rank, 10)]
    bar = place(1 + found["difference"])
    parts += [f'<path d="M{place(1):g} 30H{bar:.1f}M{place(1):g} 26v8M{bar:.1f} 26v8" stroke="#222"/>',
              text_at(round((place(1) + bar) / 2, 1), 22, f"critical difference {found['difference']:.2f}", 10)]
    for i, m in enumerate(names):
        x = place(found["ranks"][m])
        y = under + 16 * (i if i < half else k - 1 - i) + 10
        end, anchor = (left - 20, "end") if i < half else (left + span + 20, "start")
        parts += [f'<path d="M{x:.1f} {axis}V{y}H{end}" fill="none" stroke="#888"/>',
                  text_at(end + (-4 if i < half else 4), y + 4, f"{m} {found['ranks'][m]:.2f}", 11, anchor)]
    for i, run in enumerate(runs):
        y = axis + 10 + 9 * i
        a, b = place(found["ranks"][run[0]]), place(found["ranks"][run[-1]])
        parts.append(f'<path d="M{a - 3:.1f} {y}H{b + 3:.1f}" stroke="#b2182b" stroke-width="4"/>')
    svg(path, left + span + 150, under + 16 * half + 20, parts)


def write(out, results, order):
    """OUT.md and OUT.svg; what stands before the mark stays."""
    page = out.with_name(out.name + ".md")
    before = page.read_text().partition(MARK)[0] if page.exists() else f"# {out.name}\n\n"
    lines = {"uci": uci, "adbench": adbench}[results["suite"]](out, results, order)
    page.write_text(before + MARK + "\n\n" + "\n".join(lines).rstrip() + "\n")
