"""Every number of a study's tables, anew from its leaf files, by plain loops: a study with a photograph a subject, none
of them left out. Imports nothing of cloakbench.

    python tests/references/tables.py results/<study>      how many numbers of each table were compared
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

Z = 1.959963984540054
KEYS = ["source", "attack", "eps", "storage", "target"]
CLOSE = {"rel_tol": 1e-9, "abs_tol": 1e-9}


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text) if text else math.nan


def alike(found: str, wanted: float) -> bool:
    value = number(found)
    return (math.isnan(value) and math.isnan(wanted)) or math.isclose(value, wanted, **CLOSE)


class Study:
    def __init__(self, folder: Path):
        self.folder = folder
        facts = next(folder / name for name in ("provenance.json", "study.json") if (folder / name).exists())
        self.config = json.loads(facts.read_text())["config"]  # of a study, or of an export
        matrix = self.config["matrix"]
        self.targets = matrix["target"]
        self.cells: dict[tuple, list[dict]] = {}
        for path in folder.glob("ranks/**/*.csv"):
            rows = rows_of(path)
            key = tuple(rows[0][name] for name in KEYS)
            wanted = key[1] == "clean" or (key[1] in matrix["attack"] and int(key[2]) in matrix["eps"])
            if wanted and key[0] in matrix["source"] and key[3] in matrix["storage"] and key[4] in matrix["target"]:
                self.cells[key] = sorted(rows, key=lambda row: int(row["subject"]))
        self.photographs = {
            target: {int(row["subject"]): int(row["rank"]) for row in rows_of(folder / f"baseline/{target}.csv")}
            for target in self.targets
        }
        self.quality = defaultdict(list)
        for path in folder.glob("quality/**/*.csv"):
            for row in rows_of(path):
                self.quality[tuple(row[name] for name in KEYS[:4])].append(row)
        for path in folder.glob("lpips/**/*.csv"):
            for row in rows_of(path):
                for face in self.quality[tuple(row[name] for name in KEYS[:4])]:
                    if (face["subject"], face["photo"]) == (row["subject"], row["photo"]):
                        face.update(row)

    def classes(self, target: str) -> int:
        return next(int(rows[0]["classes"]) for key, rows in self.cells.items() if key[4] == target)

    def clean(self, key: tuple) -> list[dict]:
        return self.cells[key[0], "clean", "0", key[3], key[4]]


def hidden(row: dict, k: int) -> bool:
    return row["rank"] == "" or int(row["rank"]) >= k


def wilson(count: float, n: float) -> tuple[float, float]:
    p = count / n
    middle, reach = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    low, high = (middle - reach) / (1 + Z * Z / n), (middle + reach) / (1 + Z * Z / n)
    return (0.0 if count == 0 else low), (1.0 if count == n else high)


def newcombe(a: int, b: int, c: int, d: int) -> tuple[float, float]:
    n = a + b + c + d
    p1, p2 = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = wilson(a + b, n), wilson(a + c, n)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    top = a * d - b * c
    if top > n / 2:
        top = top - n / 2
    elif top >= 0:
        top = 0
    phi = top / math.sqrt(margins) if margins else 0
    low = (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2
    high = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    return p1 - p2 - math.sqrt(max(0, low)), p1 - p2 + math.sqrt(max(0, high))


def fourfold(one: list[bool], other: list[bool]) -> tuple[int, int, int, int]:
    counts = [0, 0, 0, 0]
    for first, second in zip(one, other, strict=True):
        counts[(0 if second else 1) if first else (2 if second else 3)] += 1
    return tuple(counts)


def mid_p(b: int, c: int) -> float:
    n, least = b + c, min(b, c)
    if b == c:
        return 1.0
    below = sum(math.comb(n, i) for i in range(least + 1)) / 2**n
    return min(1.0, 2 * below - math.comb(n, least) / 2**n)


def exact_p(b: int, c: int) -> float:
    return min(1.0, 2 * sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) / 2 ** (b + c))


def rates(study: Study, key: tuple, rows: list[dict], clean: list[dict], photographs: list[int], k: int) -> dict:
    """The columns of psr.csv of a cell at k."""
    n, lost, named, recognised_found, named_clean, hidden_clean = len(rows), 0, 0, 0, 0, 0
    outside, first, second = [], [], []
    for row, before in zip(rows, clean, strict=True):
        assert row["subject"] == before["subject"] and row["photo"] == before["photo"] == "0"
        outside += [float(row["outside"])] if row["outside"] else []
        found, seen = row["detected"] == "1", not hidden(row, k)
        lost += not found
        named += seen
        recognised_found += found and seen
        if not hidden(before, k):
            named_clean += 1
            hidden_clean += not seen
        first.append(not seen)
        second.append(hidden(before, k))
    low, high = wilson(n - named, n)
    a, b, c, d = fourfold(first, second)
    bounds = newcombe(a, b, c, d)
    cloaked = key[1] != "clean"
    missed = sum(rank >= k for rank in photographs)
    return {
        "n": n,
        "detected": n - lost,
        "recognised": named,
        "psr": 100 * (n - named) / n,
        "psr_low": 100 * low,
        "psr_high": 100 * high,
        "psr_detected": 100 * (n - lost - recognised_found) / (n - lost) if n > lost else math.nan,
        "n_clean": named_clean,
        "psr_clean": 100 * hidden_clean / named_clean if named_clean else math.nan,
        "subjects": n,
        "psr_photo": 100 * missed / n,
        "outside": sum(outside) / len(outside) if outside else math.nan,
        "classes": min(int(row["classes"]) for row in rows),
        "lost": 100 * lost / n,
        "unnamed": 100 * (n - lost - recognised_found) / n,
        "named": 100 * recognised_found / n,
        "gain": 100 * (b - c) / n if cloaked else math.nan,
        "gain_low": 100 * bounds[0] if cloaked else math.nan,
        "gain_high": 100 * bounds[1] if cloaked else math.nan,
    }


def compare(table: str, row: dict, wanted: dict) -> int:
    for name, value in wanted.items():
        assert alike(row[name], value), f"{table}: {row}: {name} should be {value}"
    return len(wanted)


def check_psr(study: Study) -> int:
    compared = 0
    for row in rows_of(study.folder / "psr.csv"):
        key = tuple(row[name] for name in KEYS)
        photographs = [*study.photographs[key[4]].values()]
        found = rates(study, key, study.cells[key], study.clean(key), photographs, int(row["top_k"]))
        compared += compare("psr.csv", row, found)
    return compared


def any_target(study: Study, key: tuple) -> list[dict]:
    """Of each face the smallest rank that a target gives it."""
    faces = []
    for rows in zip(*(study.cells[*key[:4], target] for target in study.targets), strict=True):
        ranks = [int(row["rank"]) for row in rows if row["rank"]]
        fewest = min(int(row["classes"]) for row in rows)
        faces.append(rows[0] | {"rank": str(min(ranks)) if ranks else "", "outside": "", "classes": str(fewest)})
    return faces


def check_strongest(study: Study) -> int:
    compared = 0
    for row in rows_of(study.folder / "strongest.csv"):
        key = tuple(row[name] for name in KEYS)
        clean = any_target(study, (key[0], "clean", "0", key[3]))
        subjects = study.photographs[study.targets[0]]
        photographs = [min(study.photographs[target][subject] for target in study.targets) for subject in subjects]
        found = rates(study, key, any_target(study, key), clean, photographs, int(row["top_k"]))
        compared += compare("strongest.csv", row, found)
    return compared


def check_comparisons(study: Study) -> int:
    compared, families = 0, defaultdict(list)
    for row in rows_of(study.folder / "comparisons.csv"):
        families[row["reference"]].append(row)
    for reference, family in families.items():
        tests = []
        for row in family:
            key = tuple(row[name] for name in KEYS)
            beside = (key[0], reference, "0" if reference == "clean" else key[2], *key[3:])
            one, other = ([hidden(face, 1) for face in study.cells[cell]] for cell in (key, beside))
            tests.append(fourfold(one, other))
        ps, least = [mid_p(b, c) for _, b, c, _ in tests], [mid_p(b + c, 0) for _, b, c, _ in tests]
        size = next((m for m in range(1, len(ps) + 1) if sum(p <= 0.05 / m for p in least) <= m), 0)
        tested = sorted((p, i) for i, p in enumerate(ps) if size and least[i] <= 0.05 / size)
        adjusted, reached = [1.0] * len(ps), 0.0
        for step, (p, i) in enumerate(tested):
            reached = max(reached, min(1.0, p * (len(tested) - step)))
            adjusted[i] = reached
        for row, (a, b, c, d), p, after in zip(family, tests, ps, adjusted, strict=True):
            n, bounds = a + b + c + d, newcombe(a, b, c, d)
            fewest = next(m for m in range(1, 200) if 0.5**m <= 0.05 / len(family))
            found = {"faces": n, "both": a, "only": b, "only_reference": c, "neither": d}
            found |= {"psr": 100 * (a + b) / n, "psr_reference": 100 * (a + c) / n, "difference": 100 * (b - c) / n}
            found |= {"low": 100 * bounds[0], "high": 100 * bounds[1], "p": p, "p_adjusted": after}
            found |= {"p_exact": exact_p(b, c), "classes": study.classes(row["target"])}
            compared += compare(
                "comparisons.csv", row, found | {"tests": len(family), "least": 100 * fewest / n, "top_k": 1}
            )
    return compared


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many do not exceed."""
    values = sorted(values)
    return next(value for i, value in enumerate(values, 1) if 100 * i >= percent * len(values))


def check_quality(study: Study) -> int:
    compared = 0
    for row in rows_of(study.folder / "quality.csv"):
        faces = study.quality[tuple(row[name] for name in KEYS[:4])]
        known = [float(face[row["measure"]]) for face in faces if face[row["measure"]] != ""]
        found = {
            name: percentile(known, p) if known else math.nan for name, p in (("p5", 5), ("median", 50), ("p95", 95))
        }
        compared += compare("quality.csv", row, found | {"faces": len(known)})
    return compared


def median(study: Study, key: tuple, measure: str) -> float:
    return percentile([float(face[measure]) for face in study.quality[key[:4]]], 50)


def check_front(study: Study) -> int:
    compared, points = 0, {}
    table = rows_of(study.folder / "front.csv")
    for row in table:
        key = tuple(row[name] for name in KEYS)
        faces = study.cells[key]
        count = sum(hidden(face, int(row["top_k"])) for face in faces)
        low, high = wilson(count, len(faces))
        costs = {measure: median(study, key, measure) for measure in ("ssim", "psnr")}
        found = {"psr": 100 * count / len(faces), "psr_low": 100 * low, "psr_high": 100 * high} | costs
        found |= {"classes": study.classes(key[4])}
        compared += compare("front.csv", row, found)
        points[key] = (count, {"front_eps": -int(key[2]), "front_ssim": costs["ssim"], "front_psnr": costs["psnr"]})
    for row in table:
        key = tuple(row[name] for name in KEYS)
        for name, cost in points[key][1].items():
            beaten = False
            for other, (count, others) in points.items():
                same = other[3:] == key[3:]
                no_worse = count >= points[key][0] and others[name] >= cost
                beaten |= same and no_worse and (count > points[key][0] or others[name] > cost)
            assert row[name] == str(not beaten), f"front.csv: {row}: {name}"
            compared += 1
    return compared


def rising(values: list[float]) -> list[float]:
    """The nearest sequence that never falls: at each place the largest, over starts, of the smallest mean to an end."""
    count = len(values)
    return [
        max(min(sum(values[i : j + 1]) / (j + 1 - i) for j in range(place, count)) for i in range(place + 1))
        for place in range(count)
    ]


def reached(rates: list[float], share: float) -> float:
    levels = rising(rates)
    if levels[0] > share + 1e-9:
        return -math.inf
    if levels[-1] < share - 1e-9:
        return math.inf
    for i, level in enumerate(levels):
        if level >= share - 1e-9:
            if i == 0 or abs(level - share) < 1e-9:
                return float(i)
            return i - 1 + (share - levels[i - 1]) / (level - levels[i - 1])
    raise AssertionError


def says(text: str, place: float, axis: list[float], digits: int) -> bool:
    """Whether a table tells this place along an axis; of two roundings of one number both are right."""
    if place == -math.inf:
        return text == f"{'<' if digits == 1 else '>'} {round(axis[0], digits):g}"
    if place == math.inf:
        return text == f"not reached at {round(axis[-1], digits):g}"
    before = min(int(place), len(axis) - 1)
    after = min(before + 1, len(axis) - 1)
    value = axis[before] + (place - before) * (axis[after] - axis[before])
    return len(text.partition(".")[2]) == digits and abs(float(text) - value) <= 0.5 * 10**-digits + 1e-9


def check_needed(study: Study) -> int:
    """Intervals from the same thousand draws of subjects."""
    compared, budgets = 0, sorted(study.config["matrix"]["eps"])
    for row in rows_of(study.folder / "needed.csv"):
        keys = [(row["source"], row["attack"], str(eps), row["storage"], row["target"]) for eps in budgets]
        faces = [[hidden(face, int(row["top_k"])) for face in study.cells[key]] for key in keys]
        people, share = len(faces[0]), float(row["share"])
        places = [reached([100 * sum(column) / people for column in faces], share)]
        draws = np.random.default_rng(0).multinomial(people, [1 / people] * people, size=1000)
        found = sorted(
            reached(
                [100 * sum(n for n, one in zip(times, column, strict=True) if one) / people for column in faces],
                share,
            )
            for times in draws.tolist()
        )
        places += [percentile(found, 2.5), percentile(found, 97.5)]
        compared += compare("needed.csv", row, {"classes": study.classes(row["target"])})
        seen = [median(study, key, "ssim") for key in keys]
        for names, axis, digits in (
            (("eps", "eps_low", "eps_high"), budgets, 1),
            (("ssim", "ssim_from", "ssim_to"), seen, 3),
        ):
            for name, place in zip(names, places, strict=False):
                assert says(row[name], place, axis, digits), f"needed.csv: {row}: {name}: {place} along {axis}"
                compared += 1
    return compared


def leaf(study: Study, name: str) -> list[dict]:
    return sorted(rows_of(study.folder / f"{name}.csv"), key=lambda row: int(row["subject"]))


def rate(count: int, n: int) -> dict:
    low, high = wilson(count, n) if n else (math.nan, math.nan)
    return {"": 100 * count / n if n else math.nan, "_low": 100 * low, "_high": 100 * high}


def columns(name: str, values: dict) -> dict:
    return {f"{name}{suffix}": value for suffix, value in values.items()}


def may_round(entry: dict) -> bool:
    return "step_fraction" in entry or entry.get("start") in ("uniform", "signs") or entry.get("norm") == "l2"


def check_ladder(study: Study) -> int:
    compared, tables, targets = 0, defaultdict(list), study.targets
    k, ensembles = min(study.config["top_k"]), study.config.get("ensembles", {})
    for row in rows_of(study.folder / "ladder.csv"):
        tables[tuple(row[name] for name in (*KEYS[:4], "member"))].append(row)
    assert {key[:4] for key in tables} == {key[:4] for key in study.cells}
    for (source, attack, eps, storage, member), rows in tables.items():
        assert member in ensembles.get(source, {}).get("members", [source])
        clean = [int(row["rank"]) >= k for row in leaf(study, f"baseline/{member}")]
        own = {"clean": clean}
        if attack != "clean" and may_round(study.config["attacks"][attack]):
            faces = leaf(study, f"ladder/unrounded/{source}/{attack}/eps{eps}/{member}")
            own["unrounded"] = [int(row["rank"]) >= k for row in faces]
        if attack != "clean":
            faces = leaf(study, f"ladder/crafted/{source}/{attack}/eps{eps}/{member}")
            own["crafted"] = [int(row["rank"]) >= k for row in faces]
        faces = leaf(study, f"ladder/stored/{source}/{attack}/eps{eps}/{storage}/{member}")
        own["stored"] = [int(row["rank"]) >= k for row in faces]
        if member in targets:
            own["found"] = [hidden(row, k) for row in study.cells[source, attack, eps, storage, member]]
        rungs = [(name, member, shown, clean) for name, shown in own.items()]
        for target in [target for target in targets if target != member]:
            shown = [hidden(row, k) for row in study.cells[source, attack, eps, storage, target]]
            unattacked = [hidden(row, k) for row in study.cells[source, "clean", "0", storage, target]]
            rungs.append(("other", target, shown, unattacked))
        assert [(row["rung"], row["judged_by"]) for row in rows] == [rung[:2] for rung in rungs]
        for number, (row, (name, judge, shown, unattacked)) in enumerate(zip(rows, rungs, strict=True)):
            n, judged_by = len(shown), judge if name in ("found", "other") else None
            lost = judged_by and sum(
                face["detected"] != "1" for face in study.cells[source, attack, eps, storage, judged_by]
            )
            found = {"n": n, "hidden": sum(shown), "lost": lost or 0} | columns("psr", rate(sum(shown), n))
            found |= {"classes": study.classes(judge) if judge in targets else math.nan}
            before = number - 1 if name != "other" else len(own) - 1
            assert row["before"] == (rungs[before][0] if number else "")
            if number:
                a, b, c, d = fourfold(shown, rungs[before][2])
                low, high = newcombe(a, b, c, d)
                found |= {"both": a, "only": b, "only_before": c, "neither": d, "difference": 100 * (b - c) / n}
                found |= {"low": 100 * low, "high": 100 * high}
            if number and attack != "clean" and name != "unrounded":
                worked = [i for i in range(n) if own["crafted"][i] and not unattacked[i]]
                destroyed = sum(not shown[i] for i in worked)
                found |= {"worked": len(worked)} | columns("destroyed", rate(destroyed, len(worked)))
            compared += compare("ladder.csv", row, found)
    return compared


LEAST = 10


def thirds(values: dict[int, float]) -> list[tuple[str, list[int], list[int] | None]]:
    """Name, subjects, and with whom they are compared."""
    known = sorted(value for value in values.values() if not math.isnan(value))
    first, second = (
        next((value for i, value in enumerate(known, 1) if 3 * i >= part * len(known)), math.nan) for part in (1, 2)
    )
    parts: dict[str, list[int]] = {"low": [], "middle": [], "high": [], "unknown": []}
    for subject, value in values.items():
        name = "unknown" if math.isnan(value) else "low" if value <= first else "middle" if value <= second else "high"
        parts[name].append(subject)
    return [(name, part, parts["low"] if name == "high" else None) for name, part in parts.items() if part]


def of_categories(values: dict[int, str]) -> list[tuple[str, list[int], list[int] | None]]:
    known = {subject: value for subject, value in values.items() if value not in ("", "unknown")}
    counts = {value: [*known.values()].count(value) for value in sorted({*known.values()})}
    found = []
    for name in [value for value, count in counts.items() if count >= LEAST]:
        own = [subject for subject, value in known.items() if value == name]
        found.append((name, own, [subject for subject in known if subject not in own]))
    few = [subject for subject, value in known.items() if counts[value] < LEAST]
    found += [("fewer than 10 subjects", few, None)] if few else []
    unknown = [subject for subject in values if subject not in known]
    return found + ([("unknown", unknown, None)] if unknown else [])


def apart(one: dict, other: dict) -> dict:
    delta = one[""] - other[""]
    below = math.sqrt((one[""] - one["_low"]) ** 2 + (other["_high"] - other[""]) ** 2)
    above = math.sqrt((one["_high"] - one[""]) ** 2 + (other[""] - other["_low"]) ** 2)
    return {"": delta, "_low": delta - below, "_high": delta + above}


def check_groups(study: Study) -> int:
    """An export has no attributes.csv: there groups of attributes are passed over."""
    compared, tables, k = 0, defaultdict(list), min(study.config["top_k"])
    for row in rows_of(study.folder / "groups.csv"):
        tables[tuple(row[name] for name in KEYS)].append(row)
    assert {*tables} == {*study.cells}
    given = (
        leaf(study, "attributes") if (study.folder / "attributes.csv").exists() else [{"subject": "0", "photo": "0"}]
    )
    names = [name for name in given[0] if name not in ("subject", "photo")]
    properties = leaf(study, "properties")
    measured = [name for name in properties[0] if name not in ("subject", "photo") and "margin" not in name]
    nothing = {"": math.nan, "_low": math.nan, "_high": math.nan}
    for key, rows in tables.items():
        groups = []
        for by, column in [*((name, name) for name in measured), ("margin", f"margin_{key[4]}")]:
            values = {int(row["subject"]): number(row[column]) for row in properties}
            groups += [(by, values, *group) for group in thirds(values)]
        for by in names:
            values = {int(row["subject"]): row[by] for row in given}
            groups += [(by, None, *group) for group in of_categories(values)]
        rows = [row for row in rows if row["by"] in (*measured, "margin", *names)]
        assert [(row["by"], row["group"]) for row in rows] == [(by, name) for by, _, name, *_ in groups]
        cloaked = {int(row["subject"]): hidden(row, k) for row in study.cells[key]}
        clean = {int(row["subject"]): hidden(row, k) for row in study.clean(key)}

        def rates_of(people: list[int], cloaked=cloaked, clean=clean, key=key) -> tuple[dict, dict]:
            a, b, c, d = fourfold([cloaked[one] for one in people], [clean[one] for one in people])
            low, high = newcombe(a, b, c, d)
            gain = {"": 100 * (b - c) / len(people), "_low": 100 * low, "_high": 100 * high}
            return rate(a + b, len(people)), gain if key[1] != "clean" else nothing

        for row, (_, values, _, people, others) in zip(rows, groups, strict=True):
            found = {"subjects": len(people), "n": len(people), "hidden": math.nan, "top_k": k}
            bounds = [values[one] for one in people] if values else [math.nan]
            found |= {"lowest": min(bounds), "highest": max(bounds)}
            own, difference = (nothing, nothing), (nothing, nothing)
            if len(people) >= LEAST:
                found["hidden"] = sum(cloaked[one] for one in people)
                own = rates_of(people)
                if others is not None and len(others) >= LEAST:
                    difference = tuple(apart(one, other) for one, other in zip(own, rates_of(others), strict=True))
            found |= columns("psr", own[0]) | columns("gain", own[1]) | {"classes": study.classes(key[4])}
            found |= columns("difference", difference[0]) | columns("gain_difference", difference[1])
            compared += compare("groups.csv", row, found)
    return compared


CHECKS = {
    "psr.csv": check_psr,
    "strongest.csv": check_strongest,
    "comparisons.csv": check_comparisons,
    "quality.csv": check_quality,
    "front.csv": check_front,
    "needed.csv": check_needed,
    "ladder.csv": check_ladder,
    "groups.csv": check_groups,
}
NEEDS = {"ladder.csv": "ladder", "groups.csv": "properties.csv"}  # leaf files that an export may lack


def recompute(folder: Path) -> dict[str, int]:
    """By table, how many of its numbers follow from the leaf files. Raises AssertionError for the first that does
    not."""
    study = Study(folder)
    there = [name for name in CHECKS if (folder / name).exists() and (folder / NEEDS.get(name, "")).exists()]
    return {name: CHECKS[name](study) for name in there}


if __name__ == "__main__":
    for table, compared in recompute(Path(sys.argv[1])).items():
        print(f"{table}: {compared} numbers follow from the leaf files")
