"""Worker processes: started with settings of their own, told apart when they die, and never left behind.

The standard library only, apart from psutil where memory is watched.
"""

from mcr2_landscape.processes.executor import ProcessExecutor as ProcessExecutor
from mcr2_landscape.processes.interruption import Interruption as Interruption
from mcr2_landscape.processes.interruption import termination_as_interruption as termination_as_interruption
from mcr2_landscape.processes.worker import Worker as Worker
from mcr2_landscape.processes.worker import WorkerDied as WorkerDied
from mcr2_landscape.processes.worker import cores as cores
