#!/usr/bin/env python3
"""Removes each barrier of the CUDA kernels in turn and tells whether a test notices.

  tests/mutate_barriers.py [--build FOLDER] [FILE…]

A barrier is a __syncthreads(), a __syncwarp(…) or a cp_async_wait<…>() in kernels/cuda. The tree is
copied into FOLDER (default: build/mutants); for each barrier the emulated kernels are built without
it, and the proofs and the tests of the kernels run in every order of threads, then under
ThreadSanitizer where that was not enough. Prints a line a barrier; exits 1 where one was not caught
that EQUIVALENT does not explain.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BARRIER = re.compile(r"(?:cuda::)?(?:__syncthreads\(\)|__syncwarp\([^()]*\)|cp_async_wait<[^;()]*>\(\));")

# Barriers without which nothing can go wrong: "file:function" and why they stand there all the same.
EQUIVALENT: dict[str, str] = {}

PRESETS = ("cpu", "tsan")
ORDERS = ("forward late", "reverse late", "random=7 early")


def run(command, **environment):
    process = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
    return process.returncode, process.stdout


class Tree:
    """A copy of the project with a build for each preset."""

    def __init__(self, folder):
        self.folder = folder / "tree"
        shutil.rmtree(self.folder, ignore_errors=True)
        files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True,
                               check=True).stdout.split("\0")
        for name in filter(None, files):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)  # new to ninja: an old build may hold a mutant
        self.builds = {preset: folder / preset for preset in PRESETS}

    def prepare(self, preset):
        """The first build of a preset, of the whole kernels."""
        if (self.builds[preset] / "build.ninja").exists():
            return
        for command in (["cmake", "-S", self.folder, "--preset", preset, "-B", self.builds[preset]],
                        ["ninja", "-C", self.builds[preset], "likely_emulated", "test-kernels"]):
            code, text = run(command)
            if code:
                sys.exit(text[-4000:])

    def build(self, preset):
        return run(["ninja", "-C", self.builds[preset], "likely_emulated"])[0] == 0

    def notices(self, preset, family):
        """The first test that fails, in any order of threads; None where all pass."""
        build = self.builds[preset]
        launcher = ["setarch", "-R"] if preset == "tsan" else []
        for order in ORDERS:
            for filters in ([f"--source-file=*/tests/kernels/proofs.cpp"],
                            [f"--source-file=*/tests/kernels/{family}*.cpp"]):
                try:
                    code, _ = run(["timeout", "300", *launcher, build / "tests/test-kernels", *filters],
                                  LIKELY_TEST_DEVICE="cuda", LIKELY_EMULATE=order, OMP_NUM_THREADS="1",
                                  **({"LIKELY_TEST_SMALL": "1"} if preset == "tsan" else {}))
                except OSError as error:
                    sys.exit(str(error))
                if code:
                    return f"{preset}, {order}, {filters[0].split('/')[-1]}"
        return None


def barriers(path):
    text = path.read_text()
    for found in BARRIER.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield line, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutants")
    parser.add_argument("files", nargs="*", help="of kernels/cuda; default: all")
    options = parser.parse_args()
    tree = Tree(options.build)
    tree.prepare(PRESETS[0])
    names = options.files or sorted(p.name for p in (ROOT / "kernels/cuda").iterdir()
                                    if p.suffix in (".cu", ".h") and p.name != "device.h")
    missed = 0
    whole_passes = set()
    for name in names:
        path = tree.folder / "kernels/cuda" / name
        whole = path.read_text()
        family = re.split(r"[._]", name)[0]
        if not list((ROOT / "tests/kernels").glob(f"{family}*.cpp")):
            family = ""  # what several share: the tests of all
        for line, found in list(barriers(path)):
            verdict = None
            for preset in PRESETS:
                tree.prepare(preset)
                if (preset, family) not in whole_passes:  # or every mutant would seem caught
                    broken = tree.notices(preset, family) if tree.build(preset) else "does not compile"
                    if broken:
                        sys.exit(f"{name}: fails with all its barriers: {broken}")
                    whole_passes.add((preset, family))
                path.write_text(whole[:found.start()] + "/* removed */;" + whole[found.end():])
                verdict = tree.notices(preset, family) if tree.build(preset) else "does not compile"
                path.write_text(whole)
                if verdict:
                    break
            excuse = EQUIVALENT.get(f"{name}:{line}")
            missed += verdict is None and excuse is None
            print(f"kernels/cuda/{name}:{line}  {found.group()}  "
                  + (f"caught ({verdict})" if verdict else f"equivalent: {excuse}" if excuse else "NOT CAUGHT"),
                  flush=True)
    print("each one was noticed" if not missed else f"{missed} were not noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
