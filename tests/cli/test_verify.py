"""`verify` and `check` as a user meets them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcr2_landscape.cli import main

CERTIFICATE = "certificates/outside.square/square.json"


def command(*words):
    return [sys.executable, "-m", "mcr2_landscape.cli", *words]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def claims(outside, here):
    outside("outside_claims", outside="statements:CLAIMS")
    return here


@pytest.fixture
def certificate(claims, capsys):
    assert main(["verify", "outside.square", "--certificates", "certificates"]) == 0
    capsys.readouterr()
    return claims / CERTIFICATE


class TestVerify:
    def test_it_says_and_writes_what_was_found(self, claims, capsys):
        (claims / "deep").mkdir()
        words = ["--json", "deep/x.json", "--report", "x.html", "--certificates", "kept/here", "--profile", "quick"]
        assert main(["verify", "outside", *words]) == 0
        said = capsys.readouterr()
        assert re.search(
            r"^  refuted +certified +printed +[\d.]+ +outside\.refuted +The claim outside\.refuted$", said.out, re.M
        )
        assert "4 claims: 2 holds, 1 refuted, 1 undecided, 0 errors; 4 as expected" in said.out
        assert "Not as expected" not in said.out
        assert "3 certificates are in kept/here" in said.err
        plain = json.loads((claims / "deep" / "x.json").read_text())
        assert (plain["schema"], plain["schema_version"], plain["complete"]) == ("mcr2_landscape/verification", 1, True)
        assert plain["configuration"] == {"profile": "quick", "patterns": ["outside"]}
        assert plain["counts"]["refuted"] == 1
        square = plain["claims"][0]
        assert square["certificates"] == [f"../kept/here/outside.square/{case}.json" for case in ("square", "cube")]
        for path in square["certificates"]:
            assert (claims / "deep" / path).is_file()
        page = (claims / "x.html").read_text()
        assert 'href="kept/here/outside.square/cube.json"' in page
        assert "mcr2-landscape verify outside.square --recheck kept/here" in page
        assert main(["verify", "outside", "--recheck", "kept/here"]) == 0

    def test_what_a_check_prints_is_no_result(self, claims, capfd):
        assert main(["verify", "outside", "--json", "-"]) == 0
        said = capfd.readouterr()
        assert [item["id"] for item in json.loads(said.out)["claims"]][-1] == "outside.open"
        assert "a check that prints" in said.err
        assert "3 certificates were made, checked and not kept" in said.err
        assert list(claims.iterdir()) == []

    def test_an_unexpected_verdict_is_marked_and_is_status_1(self, outside, here, capsys):
        outside("outside_claims", unexpected="statements:UNEXPECTED")
        assert main(["verify", "unexpected"]) == 1
        said = capsys.readouterr().out
        assert re.search(r"^! refuted +exact .*unexpected\.refuted", said, re.M)
        assert re.search(r"^! undecided .*unexpected\.undecided", said, re.M)
        assert re.search(r"^  undecided .*unexpected\.unknown", said, re.M)
        assert "unexpected.refuted: refuted, expected holds: x = 1 was <b>seen</b>." in said
        assert main(["verify", "unexpected.undecided"]) == 1
        assert main(["verify", "unexpected.unknown"]) == 0

    def test_checks_that_fail_are_errors_and_the_rest_goes_on(self, outside, here, capsys):
        outside("outside_claims", trouble="statements:TROUBLE")
        assert main(["verify", "trouble", "--jobs", "1", "--json", "x.json", "--certificates", "c"]) == 1
        said = capsys.readouterr().out
        assert "8 claims: 1 holds, 0 refuted, 0 undecided, 7 errors; 1 as expected" in said
        assert "trouble.unwritable: error: a certificate cannot be written: TypeError" in said
        assert "  - trouble.raises: error: RuntimeError: no luck" in said
        assert "Traceback" not in said
        plain = {item["id"]: item for item in json.loads((here / "x.json").read_text())["claims"]}
        assert plain["trouble.after"]["verdict"] == "holds"
        assert plain["trouble.raises"]["error"].startswith("Traceback")
        assert "SIGKILL" in plain["trouble.killed"]["error"]

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ("raising:CLAIMS", "RuntimeError: this provider is broken"),
            ("statements:BROKEN", "holds a str"),
            ("nowhere:X", "nowhere"),
        ],
    )
    def test_a_provider_that_fails_is_told_and_the_rest_goes_on(self, outside, here, capsys, value, says):
        outside("outside_claims", outside="statements:CLAIMS", bad=value)
        assert main(["verify", "outside.open", "--json", "x.json"]) == 1
        said = capsys.readouterr()
        assert f"a provider of claims failed: bad (outside_claims.{value})" in said.err
        assert says in said.err
        plain = json.loads((here / "x.json").read_text())
        assert plain["claims"][0]["as_expected"] is True
        assert [error["provider"] for error in plain["provider_errors"]] == ["bad"]

    def test_the_list_shows_claims_and_checks_none(self, claims, capsys):
        assert main(["verify", "outside", "--list"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("4 claims\n")
        assert re.search(r"outside\.refuted +printed +refuted +1 +The claim", said)

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["outside.squire"], "nearest: outside.square"),
            (["--profile", "slow"], "--profile"),
            (["--jobs", "0"], "--jobs: found 0"),
            (["outside", "--json", "nowhere/x.json"], "nowhere does not exist"),
            (["outside", "--report", "nowhere/x.html"], "nowhere does not exist"),
            (["outside", "--report", "-"], "--report"),
            (["outside", "--certificates", "file/x"], "--certificates file/x: cannot be made"),
            (["outside", "--certificates", ""], "--certificates: found an empty name"),
            (["outside", "--certificates", "new", "--json", "new"], "--json, --certificates: both are"),
            (["outside", "--certificates", "new", "--report", "new"], "--report, --certificates: both are"),
            (["outside", "--json", "new", "--report", "./new"], "--json, --report: both are"),
            (["outside", "--resume"], "--resume: needs --json"),
            (["outside", "--resume", "--json", "-"], "--resume: needs --json"),
            (["outside", "--resume", "--json", "x.json"], "x.json: no such file"),
            (["outside", "--resume", "--json", "file"], "file: is no complete JSON text"),
            (["outside", "--recheck", "nowhere"], "--recheck nowhere: is no folder"),
            (["outside", "--recheck", ".", "--json", "x.json"], "--recheck: checks no claim; leave out --json"),
            (["outside", "--recheck", ".", "--list"], "--recheck, --list: give one of them"),
        ],
    )
    def test_a_mistake_is_found_before_the_work(self, claims, monkeypatch, capsys, words, says):
        def work(*arguments, **options):
            raise AssertionError("the work began")

        (claims / "file").write_text("")
        monkeypatch.setattr("mcr2_landscape.cli.verification.check_claims", work)
        assert main(["verify", *words]) == 2
        said = capsys.readouterr()
        assert says in said.err
        assert said.out == ""
        assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
        assert [path.name for path in claims.iterdir()] == ["file"]

    @pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
    def test_a_write_protected_folder_is_found_before_the_work(self, claims):
        (claims / "kept").mkdir(mode=0o555)
        assert main(["verify", "outside", "--certificates", "kept"]) == 2

    def test_resuming_takes_over_what_is_the_same(self, claims, capsys):
        words = ["verify", "outside", "--json", "x.json", "--certificates", "c"]
        assert main(words) == 0
        first = json.loads((claims / "x.json").read_text())
        capsys.readouterr()
        assert main([*words, "--resume"]) == 0
        said = capsys.readouterr()
        assert "took over 4 of 4 claims from x.json" in said.err
        assert json.loads((claims / "x.json").read_text()) == first
        (claims / "c" / "outside.square" / "cube.json").unlink()
        assert main([*words, "--resume"]) == 0
        assert "took over 3 of 4" in capsys.readouterr().err
        assert (claims / "c" / "outside.square" / "cube.json").is_file()
        assert main([*words, "--resume", "--profile", "quick"]) == 0
        assert "took over 0 of 4" in capsys.readouterr().err

    def test_errors_are_not_taken_over(self, outside, here, capsys):
        outside("outside_claims", trouble="statements:TROUBLE")
        words = ["verify", "trouble.raises", "trouble.after", "--json", "x.json"]
        assert main(words) == 1
        assert main([*words, "--resume"]) == 1
        assert "took over 1 of 2" in capsys.readouterr().err


@pytest.fixture
def gated(outside, here, user_environment):
    path = outside("outside_claims", gated="statements:GATED")
    return {**user_environment, "PYTHONPATH": path, "OUTSIDE_GATE": str(here / "gate")}


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


class TestInterruption:
    WORDS = ("verify", "gated", "--jobs", "1", "--json", "x.json", "--certificates", "c", "--report", "x.html")

    def interrupt(self, environment, here, number, **options):
        """Begin, wait until the first claim is written and the second one is at work, and send a signal to all of it."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command(*self.WORDS), env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True, **options
        )
        try:
            worker = worker_at(here / "gate")
            assert alive(worker)
            os.killpg(process.pid, number)  # as a terminal does: to the program and its workers
            out, err = process.communicate(timeout=15)
        finally:
            process.kill()
        wait_for(lambda: not alive(worker))
        return process.returncode, out, err

    def test_ctrl_c_keeps_what_is_done_and_resuming_goes_on(self, gated, here):
        status, out, err = self.interrupt(gated, here, signal.SIGINT)
        assert status == 130, err
        assert "Traceback" not in err
        assert "interrupted: 1 claims were not checked; what is done is kept in x.json; --resume goes on" in err
        assert re.search(r"^  holds .*gated\.before", out, re.M)
        kept = json.loads((here / "x.json").read_text())
        assert kept["complete"] is False
        assert [item["id"] for item in kept["claims"]] == ["gated.before"]
        assert (here / "c" / "gated.before" / "square.json").is_file()
        assert "The run was interrupted" in (here / "x.html").read_text()

        (here / "gate").touch()
        resumed = subprocess.run(command(*self.WORDS, "--resume"), env=gated, capture_output=True, text=True)
        assert resumed.returncode == 0, resumed.stderr
        assert "took over 1 of 2 claims" in resumed.stderr
        whole = json.loads((here / "x.json").read_text())
        again = subprocess.run(command(*self.WORDS), env=gated, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        uninterrupted = json.loads((here / "x.json").read_text())
        for item in (*whole["claims"], *uninterrupted["claims"]):
            assert item.pop("seconds") >= 0
        assert whole == uninterrupted
        assert whole["complete"] is True

    def test_an_interruption_before_there_is_anything_leaves_an_earlier_file(self, claims, monkeypatch, capsys):
        def work(*arguments, **options):
            raise KeyboardInterrupt
            yield

        (claims / "x.json").write_text("earlier")
        monkeypatch.setattr("mcr2_landscape.cli.verification.check_claims", work)
        assert main(["verify", "outside", "--json", "x.json"]) == 130
        assert "no claim was checked" in capsys.readouterr().err
        assert (claims / "x.json").read_text() == "earlier"

    def test_a_program_that_is_killed_leaves_its_file_and_no_workers(self, gated, here):
        pipe = subprocess.PIPE
        process = subprocess.Popen(command(*self.WORDS), env=gated, stdout=pipe, stderr=pipe, start_new_session=True)
        worker = worker_at(here / "gate")
        assert alive(worker)
        process.kill()
        process.communicate(timeout=15)
        wait_for(lambda: not alive(worker))
        kept = json.loads((here / "x.json").read_text())
        assert [item["id"] for item in kept["claims"]] == ["gated.before"]


def worker_at(gate):
    """The process that waits at the gate: it has left its number there."""
    wait_for(gate.with_suffix(".reached").exists)
    return int(gate.with_suffix(".reached").read_text())


def alive(pid):
    """Whether a process runs; one that has ended and was not asked after by its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc").is_dir()


class TestCheck:
    def test_it_says_in_one_sentence_what_is_proved(self, certificate, capsys):
        assert main(["check", CERTIFICATE]) == 0
        said = capsys.readouterr()
        assert said.out == "(a + b)**2 = a**2 + 2*a*b + b**2, wherever no denominator vanishes.\n"
        assert "--claim outside.square" in said.err

    def test_with_a_claim_it_compares(self, certificate, capsys):
        assert main(["check", CERTIFICATE, "--claim", "outside.square"]) == 0
        assert "This is the instance square of the claim outside.square" in capsys.readouterr().out
        assert main(["check", CERTIFICATE, "--claim", "outside.refuted"]) == 1
        assert "outside.refuted has no case 'square'" in capsys.readouterr().err
        assert main(["check", CERTIFICATE, "--claim", "outside.squire"]) == 2
        assert "nearest: outside.square" in capsys.readouterr().err

    def test_of_several_each_is_told(self, certificate, claims, capsys):
        other = "certificates/outside.square/cube.json"
        assert main(["check", CERTIFICATE, other, "nowhere.json"]) == 2
        said = capsys.readouterr()
        assert [line.split(": ")[0] for line in said.out.splitlines()] == [CERTIFICATE, other]
        assert "error: nowhere.json: cannot be read (No such file or directory)" in said.err

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda text: text[:-40], "no complete JSON text"),
            (lambda text: text.replace("2*a*b", "2*a*a"), "sha256: does not fit the contents"),
            (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "newer version"),
            (lambda text: text.replace('"schema_version": 1', '"schema_version": ' + "9" * 5000), "integer of 5000 digits"),
            (lambda text: text.replace('"schema_version": 1', '"schema_version": NaN'), "NaN"),
            (lambda text: text.replace("mcr2_landscape/certificate", "mcr2_landscape/survey"), "is no certificate"),
            (lambda text: "[" * 100_000, "nested too deeply"),
            (lambda text: "", "no complete JSON text"),
        ],
    )
    def test_a_file_that_was_changed_is_status_2(self, certificate, capsys, spoil, says):
        certificate.write_text(spoil(certificate.read_text()))
        assert main(["check", CERTIFICATE]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert says in said.err
        assert "Traceback" not in said.err

    def test_what_is_no_file_of_text_is_status_2(self, here, capsys):
        (here / "binary").write_bytes(bytes(range(256)))
        for place in (".", "binary", "/dev/null"):
            assert main(["check", place]) == 2
        assert main(["check"]) == 2
        assert capsys.readouterr().out == ""

    def test_what_is_not_proved_is_status_1(self, here, capsys):
        from mcr2_landscape.certify import Certificate, Statement, write

        false = Statement("identity", assertion={"left": "(a + b)**2", "right": "a**2 + b**2", "where": []})
        write(Certificate(false, {"cofactors": []}), "false.json")
        assert main(["check", "false.json"]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("false.json: not proved: ")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_in_a_terminal_a_line_says_what_is_at_work(outside, here, user_environment):
    import pty

    path = outside("outside_claims", gated="statements:GATED")
    (here / "gate").touch()
    read, write = pty.openpty()
    environment = {**user_environment, "PYTHONPATH": path, "OUTSIDE_GATE": str(here / "gate"), "COLUMNS": "70", "TERM": "xterm"}
    process = subprocess.Popen(command("verify", "gated"), env=environment, stdout=write, stderr=write)
    os.close(write)
    chunks = []
    try:
        while chunk := os.read(read, 65536):
            chunks.append(chunk)
    except OSError:
        pass  # Linux says so when the other end is closed
    assert process.wait() == 0
    os.close(read)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(chunks).decode())
    assert "0 of 2 done; at work: gated.before" in shown
    lines = [piece for line in shown.splitlines() for piece in line.split("\r")]
    assert any(re.match(r"  holds +certified +own .*gated\.before", line) for line in lines)
    assert max(len(line) for line in lines) <= 130
    rows = [line for line in lines if line.startswith("  holds")]
    assert max(map(len, rows)) <= 70
