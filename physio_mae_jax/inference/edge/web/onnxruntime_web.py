"""onnxruntime-web in a folder of this machine, and its download."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from physio_mae_jax import atomic_files
from physio_mae_jax.data.regular_file import read_regular
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.local_paths import local_path

VERSION = "1.22.0"
PACKAGE_SHA256 = "e293551f9d36d003e293d0f2937fee7b3dfdcef76d71d1449b55e2d4157c7aea"
# The part of the package that computes on one thread of the processor.
FILES = {
    "ort.wasm.min.mjs": "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265",
    "ort-wasm-simd-threaded.mjs": (
        "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"
    ),
}
_DOWNLOAD_SECONDS = 300
_MAX_BYTES = 1 << 28
_HINT = (
    f"Give --download once, which gets onnxruntime-web {VERSION} (11 MB) by npm, or give a folder "
    "that holds these files by --onnxruntime_web=FOLDER, such as "
    "node_modules/onnxruntime-web/dist."
)


def cache_folder() -> Path:
    """Return the folder that ``download`` writes: ~/.cache/physio_mae_jax/onnxruntime-web-…"""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches) / "physio_mae_jax" / f"onnxruntime-web-{VERSION}"


def find(folder: str | None) -> dict[str, Path]:
    """Find the files of onnxruntime-web.

    Args:
        folder: Folder of any version; None for that of ``download``, whose hashes are checked.

    Returns:
        Name -> path of each of ``FILES``.

    Raises:
        UserError: A file is missing or damaged; the message says how to get it.
    """
    source = cache_folder() if folder is None else local_path(folder, "--onnxruntime_web")
    found = {name: source / name for name in FILES}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise ConfigError(f"onnxruntime-web: {source} lacks {', '.join(missing)}. {_HINT}")
    if folder is None:
        for name, path in found.items():
            _check(read_regular(path, _HINT, _MAX_BYTES), FILES[name], str(path))
    return found


def download() -> Path:
    """Get onnxruntime-web by npm, check its hash and write it to ``cache_folder``; return that.

    Nothing is downloaded where the files are already there and undamaged.

    Raises:
        UserError: npm is not installed or fails, or the package is not the expected one.
    """
    target = cache_folder()
    with contextlib.suppress(UserError):  # missing or damaged
        find(None)
        return target
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "onnxruntime-web is downloaded by npm, which is not installed. Install Node.js, or get "
            f"the npm package onnxruntime-web {VERSION} on another machine and give its folder "
            "dist by --onnxruntime_web=FOLDER."
        )
    atomic_files.prepare_workdir(target, "XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        package = _pack(npm, Path(folder))
        _check(read_regular(package, _HINT, _MAX_BYTES), PACKAGE_SHA256, package.name)
        with tarfile.open(package) as archive, atomic_files.disk_full_as_user_error(target):
            for name, sha256 in FILES.items():
                member = archive.extractfile(f"package/dist/{name}")
                content = member.read() if member else b""
                _check(content, sha256, f"{name} of {package.name}")
                with atomic_files.atomic_write(target / name) as partial:
                    partial.write_bytes(content)
    return target


def _pack(npm: str, folder: Path) -> Path:
    """Let npm write the archive of the package into a folder."""
    package = f"onnxruntime-web@{VERSION}"
    try:
        subprocess.run(
            [npm, "pack", "--silent", "--ignore-scripts", package],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise UserError(
            f"npm pack {package} failed: {said.strip()[-500:]}. Check the connection and npm's "
            "registry, or give a folder by --onnxruntime_web=FOLDER."
        ) from error
    return folder / f"onnxruntime-web-{VERSION}.tgz"


def _check(content: bytes, sha256: str, name: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{name} has the SHA-256 {found[:12]}…; {sha256[:12]}… is expected of onnxruntime-web "
            f"{VERSION}. {_HINT}"
        )
