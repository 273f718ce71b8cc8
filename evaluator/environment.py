"""Variables that numerical libraries read once, when they are loaded: set them before."""

REPEATABLE = {"OMP_NUM_THREADS": "1", "MKL_CBWR": "AUTO"}
"""One thread, and Intel's MKL held to one order of summing: without, a product of matrix and vector depends, on some
processors, on where the matrix lies in memory, and a run that is repeated differs in its last digits
(oneMKL's conditional numerical reproducibility; no slower here)."""

WORKER = {
    **REPEATABLE,
    # A pool runs one worker a core: threads of several processes on shared cores spin against each other.
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
