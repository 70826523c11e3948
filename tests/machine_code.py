#!/usr/bin/env python3
"""Checks the machine code of the CUDA kernels, which needs nvcc and no GPU.

  tests/machine_code.py build/cpu/liblikely_cuda.so

For every kernel and architecture: no local memory (no spills), registers x threads of a block within
65,536; tensor-core kernels multiply with HMMA and load with LDGSTS.128 (cp.async); the pointwise
kernels of packs load 128 bits at a time. The PTX also assembles for the architectures after Hopper.
Prints a line a kernel; exits 1 where one fails. cuobjdump and nvdisasm come from PyPI, into a virtual
environment beside the module.
"""
import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import venv

TOOLS = ("nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm")
LATER = ("sm_100", "sm_120")  # Blackwell
REGISTERS = 65536             # of a multiprocessor

# What a kernel's name says, mangled or not, and what its code must then hold.
MUST_HOLD = {
    r"MmaSums": (r"\bHMMA\.",),
    r"Way<[^>]*true>": (r"\bLDGSTS(\.\w+)*\.128",),  # packs, by cp.async
    r" evaluate<[^>]*Order\)[01], .*(float, 4|bf16, 8)>": (r"\bLDG\.E(\.\w+)*\.128",),
}


def output(*command, cwd=None):
    return subprocess.run([str(part) for part in command], cwd=cwd, check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def side_by_side(function, each):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(function, each))


def installed_cuobjdump(folder):
    """Its path; installed on first use, with nvdisasm beside it, which it calls."""
    environment = folder / "machine-code-tools"
    if not list(environment.rglob("nvdisasm")):
        venv.create(environment, with_pip=True)
        output(environment / "bin/pip", "install", "--quiet", *TOOLS)
    return next(environment.rglob("cuobjdump"))


def demangled(names):
    text = subprocess.run(["c++filt"], input="\n".join(names), check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    short = re.sub(r"(likely|kernels|cuda|\(anonymous namespace\))::", "", text)
    return dict(zip(names, short.split("\n")))


def usage(cuobjdump, module):
    """{(architecture, kernel): {"REG": …, "STACK": …, "LOCAL": …}}"""
    result, architecture, kernel = {}, None, None
    for line in output(cuobjdump, "-res-usage", module).splitlines():
        if found := re.search(r"arch = (sm_\w+)", line):
            architecture = found[1]
        elif found := re.search(r"Function (?:name: )?([\w$.]+):?", line):
            kernel = found[1]
        if "REG:" in line:
            result[architecture, kernel] = {key: int(value) for key, value in
                                            re.findall(r"(REG|STACK|LOCAL):(\d+)", line)}
    return result


def code(cuobjdump, module, folder):
    """{(architecture, kernel): its instructions}, from each embedded cubin."""
    output(cuobjdump, "-xelf", "all", module.resolve(), cwd=folder)
    result = collections.defaultdict(list)
    cubins = sorted(folder.glob("*.cubin"))
    for cubin, text in zip(cubins, side_by_side(lambda each: output(cuobjdump, "-sass", each), cubins)):
        architecture = re.search(r"sm_\w+", cubin.name)[0]
        kernel = None
        for line in text.splitlines():
            if found := re.search(r"Function : (\S+)", line):
                kernel = found[1]
            elif kernel and "/*" in line:
                result[architecture, kernel].append(line)
    return {key: "\n".join(lines) for key, lines in result.items()}


def threads_of(ptx):
    """{kernel: threads of its largest block} from .maxntid."""
    return {name: int(threads) for name, threads in
            re.findall(r"\.entry (\S+)\([^)]*\)\s*\.maxntid (\d+)", ptx)}


def check(kernel, numbers, instructions, threads):
    """What is wrong with one kernel, in words."""
    if numbers.get("STACK", 0) or numbers.get("LOCAL", 0) or re.search(r"\b(LDL|STL)\b", instructions):
        yield f"uses local memory (stack {numbers.get('STACK', 0)})"
    if numbers["REG"] * threads > REGISTERS:
        yield f"{numbers['REG']} registers x {threads} threads do not fit"
    for name, patterns in MUST_HOLD.items():
        for pattern in patterns:
            if re.search(name, kernel) and not re.search(pattern, instructions):
                yield f"holds no {pattern}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    module = pathlib.Path(sys.argv[1])
    cuobjdump = installed_cuobjdump(module.resolve().parent)
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        numbers = usage(cuobjdump, module)
        instructions = code(cuobjdump, module, folder)
        output(cuobjdump, "-xptx", "all", module.resolve(), cwd=folder)
        ptx = sorted(folder.glob("*.ptx"))
        threads = {}
        for file in ptx:
            threads.update(threads_of(file.read_text()))
        names = demangled([kernel for _, kernel in numbers])
        for (architecture, kernel), used in sorted(numbers.items()):
            problems = list(check(f"{kernel} {names[kernel]}", used, instructions.get((architecture, kernel), ""),
                                  threads.get(kernel, 1024)))
            wrong += bool(problems)
            print(f"{architecture:7} {used['REG']:4} registers  {names[kernel][:90]}"
                  + "".join(f"\n        WRONG: {problem}" for problem in problems))
        for architecture in LATER:
            side_by_side(lambda file: output("ptxas", f"-arch={architecture}", file, "-o",
                                             file.with_suffix(f".{architecture}")), ptx)
            print(f"{architecture:7} assembles the PTX of {len(ptx)} files")
        if not numbers or not ptx:
            sys.exit(f"machine code: {module} holds no kernels. Build the target likely_cuda.")
    print(f"{len(numbers)} kernels, {wrong} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
