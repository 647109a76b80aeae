# SPDX-License-Identifier: BSD-2-Clause
"""
Results of the benchmarks as JSON, for block_bench.py and compare.py: one file a run, DATE-COMMIT.json in build/bench
(or BENCH_RESULTS), into which every suite of the run puts its cases.

    {"format": 1, "date", "commit", "dirty", "machine": {...}, "peers": {name: version},
     "cases": [{"suite", "case", "unit", "rounds", "seconds", "peer", "load",
                "ours": {"rate", "per_cpu", "rates", "per_cpus"}, "theirs": the same, or null,
                "ratio": {"rate", "per_cpu"}}],
     "counts": {case: {what: how many for each request}},
     "figures": {suite: {case: {what: number}}}}

`rate` is of `unit` per second, `per_cpu` per second of the processor time of what is measured; both are medians, of what
the lists have for each round. `ratio` is the median of the rounds' own ratios: the two of a round ran one after the
other, and what else the machine did then hit both. A case without processor time has `per_cpu` 0.
"""
import datetime
import json
import os
import platform
import statistics
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.environ.get("BENCH_RESULTS", os.path.join(ROOT, "build", "bench"))


def _output(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _machine():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for line in info:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "load": os.getloadavg()}


def _summary(rounds):
    rates, per_cpus = [one[0] for one in rounds], [one[1] for one in rounds]
    return {"rate": statistics.median(rates), "per_cpu": statistics.median(per_cpus), "rates": rates,
            "per_cpus": per_cpus}


def _ratio(ours, theirs):
    pairs = [a / b for a, b in zip(ours, theirs) if b]
    return statistics.median(pairs) if pairs else 0


class Results:
    """A run's file. BENCH_FILE names one that others have begun."""

    def __init__(self):
        os.makedirs(FOLDER, exist_ok=True)
        now = datetime.datetime.now(datetime.timezone.utc)
        commit = _output("git", "rev-parse", "--short", "HEAD") or "unknown"
        name = "%s-%s.json" % (now.strftime("%Y%m%d-%H%M%S"), commit)
        self.path = os.environ.get("BENCH_FILE") or os.path.join(FOLDER, name)
        self.run = {"format": 1, "date": now.isoformat(timespec="seconds"), "commit": commit,
                    "dirty": bool(_output("git", "status", "--porcelain", "--untracked-files=no")),
                    "machine": _machine(), "peers": {}, "cases": []}
        if os.path.exists(self.path) and os.path.getsize(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.run = json.load(file)

    def peer(self, name, version):
        self.run["peers"][name] = version

    def add(self, suite, case, unit, seconds, peer, ours, theirs):
        """`ours` and `theirs` are a list of (rate, per CPU-second), one a round; `theirs` may be empty."""
        one = {"suite": suite, "case": case, "unit": unit, "rounds": len(ours), "seconds": seconds, "peer": peer,
               "load": os.getloadavg()[0], "ours": _summary(ours), "theirs": None, "ratio": None}
        if theirs:
            one["theirs"] = _summary(theirs)
            one["ratio"] = {key: _ratio(one["ours"][key + "s"], one["theirs"][key + "s"]) for key in ("rate", "per_cpu")}
        self.run["cases"].append(one)
        self.save()
        return one

    def count(self, case, counts):
        self.run.setdefault("counts", {})[case] = counts
        self.save()

    def figures(self, suite, case, figures):
        self.run.setdefault("figures", {}).setdefault(suite, {})[case] = figures
        self.save()

    def save(self):
        """Whole or not at all: a run that is broken off leaves what it has measured."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.run, file, indent=1)
            file.write("\n")
        os.replace(self.path + ".new", self.path)
