"""The kill test of a bus: `python tests/fault/kill.py --bus redis --kills 1000 --write docs/proof.md`.

Exit codes: 0 nothing lost and nothing doubled, 1 something was, 2 the run proves nothing (too few kills hit work).
`--plant` puts a known bug around the bus; then the exit code must be 1.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from fault.kill_main import main

    sys.exit(main(sys.argv[1:]))
