"""python -m slicer.cli"""

import sys

from slicer.cli import main

sys.exit(main())
