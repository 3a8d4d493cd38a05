"""python -m slicer"""

import sys

from slicer.cli import main

sys.exit(main())
