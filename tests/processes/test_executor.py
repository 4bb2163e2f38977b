import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, wait
from pathlib import Path

import pytest

from mcr2_landscape import memory
from mcr2_landscape.processes import Interruption, ProcessExecutor, WorkerDied, termination_as_interruption
from mcr2_landscape.processes.worker import SETTINGS


def square(x):
    return x * x


def slow(seconds):
    time.sleep(seconds)
    return os.getpid()


def process_number():
    return os.getpid()


def settings():
    return {name: os.environ.get(name) for name in SETTINGS}


def fail(words):
    raise ValueError(words)


def fail_oddly():
    class Local(Exception):
        pass

    raise Local("of a class that cannot be pickled")


def die(status):
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


def grow(size):
    grow.kept = bytearray(size)  # pyright: ignore[reportFunctionMemberAccess]
    for position in range(0, size, 4096):
        grow.kept[position] = 1  # pyright: ignore[reportFunctionMemberAccess]
    return os.getpid()


@pytest.fixture(scope="module")
def two():
    with ProcessExecutor(2) as executor:
        yield executor


def test_calls_come_back_with_their_results(two):
    assert list(two.map(square, range(50))) == [x * x for x in range(50)]
    assert process_number() not in {two.submit(process_number).result() for _ in range(4)}


def test_workers_have_one_thread_and_settings_of_their_own(two):
    before = {name: os.environ.get(name) for name in SETTINGS}
    assert two.submit(settings).result() == SETTINGS
    assert {name: os.environ.get(name) for name in SETTINGS} == before


def test_an_exception_comes_back_with_the_traceback_of_its_process(two):
    with pytest.raises(ValueError, match="no luck") as caught:
        two.submit(fail, "no luck").result()
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Local: of a class that cannot be pickled"):
        two.submit(fail_oddly).result()
    with pytest.raises(Exception, match=r"pickle|Can't get"):
        two.submit(lambda: 1)


@pytest.mark.parametrize(("status", "words"), [(-9, "SIGKILL; out of memory"), (3, "ended with status 3"), (-15, "SIGTERM")])
def test_a_death_is_the_fault_of_its_own_call_only(two, status, words):
    futures = [two.submit(square, 1), two.submit(die, status), two.submit(square, 2)]
    wait(futures)
    assert (futures[0].result(), futures[2].result()) == (1, 4)
    with pytest.raises(WorkerDied, match=words):
        futures[1].result()
    assert two.submit(square, 3).result() == 9


def test_a_process_that_died_between_two_calls_is_replaced(two):
    number = two.submit(process_number).result()
    os.kill(number, signal.SIGKILL)
    os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    for _ in range(3):
        assert two.submit(process_number).result() != number


def test_kill_does_not_wait_for_what_is_at_work():
    executor = ProcessExecutor(1)
    working, waiting = executor.submit(slow, 60), executor.submit(slow, 60)
    deadline = time.monotonic() + 20
    while not working.running() and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    executor.kill()
    assert time.monotonic() - began < 10
    with pytest.raises(WorkerDied, match="together with the executor"):
        working.result()
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(square, 1)


def test_a_cancelled_call_is_not_made(tmp_path):
    with ProcessExecutor(1) as executor:
        executor.submit(slow, 0.3)
        never = executor.submit(Path(tmp_path / "made").touch)
        assert never.cancel()
        assert executor.submit(square, 2).result() == 4
    assert not (tmp_path / "made").exists()


def test_a_process_that_has_grown_is_replaced_by_a_fresh_one():
    with ProcessExecutor(1, worker_memory=100 << 20) as executor:
        small = executor.submit(process_number).result()
        assert executor.submit(process_number).result() == small
        assert executor.submit(grow, 300 << 20).result() == small
        assert executor.submit(process_number).result() != small


def test_calls_are_held_back_one_by_one_while_memory_is_short(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10)
    with ProcessExecutor(2, worker_memory=1000) as executor:
        began = time.monotonic()
        numbers = {future.result() for future in [executor.submit(slow, 0.2) for _ in range(3)]}
        assert time.monotonic() - began >= 0.6
        assert numbers


def test_the_default_number_of_workers_fits_into_memory(monkeypatch):
    from mcr2_landscape.processes import executor as executors

    monkeypatch.setattr(executors, "cores", lambda: 8)
    monkeypatch.setattr(memory, "available", lambda: 5 << 30)
    for need, expected in ((1 << 30, 5), (2 << 30, 2), (50 << 30, 1), (1, 8)):
        executor = ProcessExecutor(worker_memory=need)
        assert executor.max_workers == expected
        executor.shutdown()


def test_where_no_process_can_be_started_nobody_waits_for_ever(monkeypatch):
    from mcr2_landscape.processes import executor as executors

    def refuse(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(executors, "Worker", refuse)
    executor = ProcessExecutor(1)
    futures = []
    for _ in range(3):
        try:
            futures.append(executor.submit(square, 1))
        except RuntimeError:  # it has given up already
            break
    done, waiting = wait(futures, timeout=10)
    assert not waiting
    assert futures
    for future in done:
        with pytest.raises(OSError, match="temporarily unavailable"):
            future.result()


def test_whoever_hears_of_a_cancelled_call_may_use_the_executor():
    executor = ProcessExecutor(1)
    executor.submit(slow, 0.2)
    heard = []

    def hear(_):
        with pytest.raises(RuntimeError, match="shut down"):
            executor.submit(square, 1)
        heard.append(True)

    executor.submit(square, 1).add_done_callback(hear)
    executor.shutdown(cancel_futures=True)
    assert heard == [True]


def test_what_is_left_of_a_control_group(tmp_path):
    root, inner = tmp_path / "groups", tmp_path / "groups" / "job" / "step"
    inner.mkdir(parents=True)
    membership = tmp_path / "cgroup"
    membership.write_text("0::/job/step\n")
    assert memory._control_group(root, membership) is None
    (inner / "memory.max").write_text("max\n")
    (inner / "memory.current").write_text("5\n")
    assert memory._control_group(root, membership) is None
    (root / "job" / "memory.max").write_text("100\n")
    (root / "job" / "memory.current").write_text("40\n")
    assert memory._control_group(root, membership) == 60
    (root / "job" / "memory.stat").write_text("anon 3\ninactive_file 25\n")
    assert memory._control_group(root, membership) == 85
    (inner / "memory.max").write_text("50\n")
    assert memory._control_group(root, membership) == 45
    assert memory._control_group(tmp_path / "none", tmp_path / "nothing") is None


def test_what_is_left_of_a_control_group_in_the_older_layout(tmp_path):
    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("5:memory:/job\n4:cpu,cpuacct:/job\n")
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("200\n")
    (tmp_path / "memory" / "job" / "memory.usage_in_bytes").write_text("50\n")
    assert memory._control_group(tmp_path, tmp_path / "cgroup") == 150


PARENT = """
import os, sys, time
from mcr2_landscape.processes import ProcessExecutor
if __name__ == "__main__":
    executor = ProcessExecutor(2)
    futures = [executor.submit(os.getpid) for _ in range(8)]
    print(*{future.result() for future in futures}, flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    import psutil

    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    numbers = [int(word) for word in parent.stdout.readline().split()]
    assert numbers
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(n) and psutil.Process(n).status() != "zombie" for n in numbers):
        assert time.monotonic() < deadline, "workers compute on for nobody"
        time.sleep(0.05)


def test_the_first_interruption_waits_for_a_check_and_the_second_does_not():
    with termination_as_interruption(), Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
