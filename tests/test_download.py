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

BODY = np.random.default_rng(0).bytes(300_000)
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one body, or the error `code`; breaks off after `cut` bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.code, self.cut, self.asked = BODY, 200, None, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.code != 200:
            return self.send_error(self.server.code)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body[: self.server.cut])
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
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


def refused(url: str, target: Path, *words: str, digest: str = SHA256) -> None:
    """One line with the address, and nothing under the final name nor beside it."""
    with pytest.raises(InputError) as caught:
        fetch(url, target, digest)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in (url, "`weights:`", *words)), message
    assert not target.parent.exists() or not list(target.parent.iterdir())


@pytest.mark.parametrize("digest", [SHA256, MD5])
def test_a_good_file_arrives_once(digest, server, target):
    fetch(server.url, target, digest)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    fetch(server.url, target, digest)
    assert server.asked == 1


def test_another_file_under_the_name_is_replaced(server, target):
    target.parent.mkdir()
    target.write_bytes(b"of another study")
    fetch(server.url, target, SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 32])
def test_another_hash_keeps_nothing(digest, server, target):
    refused(server.url, target, f"not {digest}", "not the file asked for", digest=digest)


def test_a_body_that_breaks_off_is_no_file(server, target):
    server.cut = 1000
    refused(server.url, target)


@pytest.mark.parametrize("body", [b"\n <!DOCTYPE html><title>Quota exceeded</title>", b"\xef\xbb\xbf<HTML><body>"])
def test_a_page_instead_of_the_file_is_called_one(body, server, target):
    server.body = body
    refused(server.url, target, "an HTML page came instead")


def test_an_error_of_the_server_is_told(server, target):
    server.code = 404
    refused(server.url, target, "the server answered 404")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_no_network_is_one_line_with_the_way_out(host, target, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken and not listening: every connection is refused
        refused(f"http://{host}:{closed.getsockname()[1]}/weights.pt", target, "cannot be fetched")


def test_a_silent_server_is_given_up(target, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
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


@pytest.mark.parametrize("url", ["ftp://example.org/weights.pt", "weights.pt", "http:///weights.pt"])
def test_what_is_no_address_is_refused(url, target):
    refused(url, target)


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
