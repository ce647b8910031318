"""Downloads from a server that behaves, lies, or hangs up half-way."""

from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from cloakbench.errors import InputError
from cloakbench.files import download
from cloakbench.files.download import fetch
from cloakbench.recognisers.architectures import build
from conftest import ROOT, checkout_copy, job_counts, snakemake

BODY = np.random.default_rng(0).bytes(3_000_000)
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one body; `cuts` are the bytes after which the first answers break off, `codes` their errors."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.content_type, self.resumable, self.chunked = (
            BODY,
            "application/octet-stream",
            True,
            False,
        )
        self.cuts: list[int] = []
        self.codes: list[int] = []
        self.asked: list[str | None] = []  # the Range header of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.codes:
            return self.send_error(self.server.codes.pop(0))
        body, start = self.server.body, int(wanted.removeprefix("bytes=")[:-1]) if wanted else 0
        if not self.server.resumable:
            start = 0
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", self.server.content_type)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if not self.server.chunked:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(body)
        self.wfile.write(body[start : start + cut])
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0, 0, 0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / "weights.pt"


def refused(url: str, target: Path, *words: str, **hashes: str) -> None:
    """One line with the address, and no file under the final name."""
    with pytest.raises(InputError) as caught:
        fetch(url, target, **(hashes or {"sha256": SHA256}))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in (url, *words)), message
    assert not target.exists()


def part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


@pytest.mark.parametrize("hashes", [{"sha256": SHA256}, {"md5": MD5}, {"sha256": SHA256.upper(), "md5": MD5}])
def test_a_good_file_arrives_once(hashes, server, target):
    fetch(server.url, target, **hashes)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    fetch(server.url, target, **hashes)
    assert server.asked == [None]


def test_without_a_length_the_hash_decides(server, target):
    server.chunked = True
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY
    target.unlink()
    server.cuts = [1000]
    refused(server.url, target, "sha256")


def test_another_file_under_the_name_is_replaced(server, target):
    target.parent.mkdir()
    target.write_bytes(b"of another study")
    server.codes = [404]
    refused(server.url, target, "404")
    target.write_bytes(b"of another study")
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("hashes", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"sha256": SHA256, "md5": "0" * 32}])
def test_another_hash_keeps_nothing(hashes, server, target):
    refused(server.url, target, "0" * 32, "nothing was kept", **hashes)
    assert not part_of(target).exists()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<p>Sign in", "text/html; charset=utf-8"),
        (b"\n <!DOCTYPE html><title>Quota exceeded</title>", "application/octet-stream"),
        (b"\xef\xbb\xbf<HTML><body>", "application/octet-stream"),
    ],
)
def test_pages_are_refused_even_with_their_own_hash(body, content_type, server, target):
    server.body, server.content_type = body, content_type
    refused(server.url, target, "HTML", "`weights:`", sha256=hashlib.sha256(body).hexdigest())
    assert not part_of(target).exists()
    assert len(server.asked) == 1


def test_a_body_that_breaks_off_is_resumed(server, target):
    server.cuts = [1_500_000, 700_000]
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY
    assert server.asked == [None, "bytes=1500000-", "bytes=2200000-"]


def test_a_body_that_breaks_off_starts_again_where_the_server_cannot_resume(server, target):
    server.cuts, server.resumable = [1_500_000], False
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY
    assert server.asked == [None, "bytes=1500000-"]


def test_a_body_that_always_breaks_off_leaves_a_part_for_the_next_run(server, target):
    server.cuts = [100_000] * 4
    refused(server.url, target, "cut off after 400,000 of 3,000,000 bytes", "`weights:`")
    assert part_of(target).read_bytes() == BODY[:400_000]
    fetch(server.url, target, SHA256)
    assert server.asked[-1] == "bytes=400000-"
    assert target.read_bytes() == BODY
    assert not part_of(target).exists()


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * len(BODY), b"x" * (len(BODY) + 1)])
@pytest.mark.parametrize("resumable", [True, False])
def test_a_part_of_another_file_is_thrown_away(part, resumable, server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(part)
    server.resumable = resumable
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY


def test_a_part_that_is_whole_needs_no_server(target):
    target.parent.mkdir()
    part_of(target).write_bytes(BODY)
    fetch("http://127.0.0.1:9/weights.pt", target, SHA256)
    assert target.read_bytes() == BODY


def test_passing_errors_are_tried_again_and_lasting_ones_are_not(server, target):
    server.codes = [503, 429]
    fetch(server.url, target, SHA256)
    assert len(server.asked) == 3
    target.unlink()
    server.codes = [404]
    refused(server.url, target, "404", "`weights:`")
    assert len(server.asked) == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_no_network_is_one_line_with_the_way_out(host, target, monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0,))
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken and not listening: every connection is refused
        refused(f"http://{host}:{closed.getsockname()[1]}/weights.pt", target, "cannot be fetched", "`weights:`")


def test_a_silent_server_is_given_up(server, target, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    monkeypatch.setattr(download, "PAUSES", ())
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        refused(f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pt", target, "timed out")


def test_file_urls(target, tmp_path):
    (source := tmp_path / "source.pt").write_bytes(BODY)
    fetch(source.as_uri(), target, SHA256)
    assert target.read_bytes() == BODY
    target.unlink()
    refused((tmp_path / "absent.pt").as_uri(), target, "No such file")


def test_urls_without_a_hash_or_of_another_kind_are_refused(target):
    with pytest.raises(InputError, match="needs the `sha256`"):
        fetch("https://example.org/weights.pt", target)
    for url in ("ftp://example.org/weights.pt", "weights.pt", "http:///weights.pt"):
        refused(url, target)
    assert not part_of(target).exists()


# ------------------------------------------------------------------------------------------------ in the workflow


@pytest.fixture(scope="session")
def fetched(tmp_path_factory) -> Path:
    """A folder in which a study has fetched a checkpoint and converted it; the address leads nowhere any more."""
    directory = tmp_path_factory.mktemp("fetched")
    save_file(build("timm/test_resnet", 4).state_dict(), source := directory / "given.safetensors")
    (directory / "study.yaml").write_text(f"""
        matrix: {{source: [given], attack: [bim], eps: [4], target: [given]}}
        dataset: {{identities: 4, subjects: 2, enrol: 2}}
        top_k: [1]
        models:
          given:
            arch: timm/test_resnet
            weights: {source.as_uri()}
            sha256: {hashlib.sha256(source.read_bytes()).hexdigest()}
            head: gallery
            crop: tight160
            mean: 127.5
            std: 128
    """)
    process = convert(directory, "--cores", 1)
    assert process.returncode == 0, process.stderr
    source.unlink()
    return directory


def convert(directory: Path, *arguments: object, root: Path = ROOT):
    target = "results/demo/weights/given.safetensors"
    return snakemake(directory, "--configfile", directory / "study.yaml", *arguments, "--", target, root=root)


def test_no_edit_fetches_a_file_that_is_there_again(fetched, tmp_path):
    """Its digest is in its name: Snakemake deletes what it makes again, and offline that would be the end."""
    root = checkout_copy(tmp_path / "checkout")
    for module in ("jobs/command", "errors", "files/download", "files/seals"):
        with (root / f"workflow/lib/cloakbench/{module}.py").open("a") as file:
            file.write("\n\nLIMIT = 1\n")
    script = root / "scripts/fetch.py"
    script.write_text(script.read_text().replace("options.digest", "str(options.digest)"))
    next((fetched / "resources/weights").iterdir()).touch()
    assert "fetch" not in job_counts(convert(fetched, "-n", root=root).stdout)
    (tmp_path / "mirror.yaml").write_text("models: {given: {weights: https://example.org/other.safetensors}}")
    assert job_counts(convert(fetched, tmp_path / "mirror.yaml", "-n").stdout) == {}


def test_a_file_that_is_right_is_kept_whatever_asks_for_it(fetched):
    (checkpoint,) = (fetched / "resources/weights").iterdir()
    process = convert(fetched, "--cores", 1, "--forcerun", "fetch")
    assert process.returncode == 0 and checkpoint.exists(), process.stderr
    assert job_counts(process.stdout + process.stderr) == {"fetch": 1}  # what was converted from it stands
