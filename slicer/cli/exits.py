"""The exit codes of the command."""

STORED, FAILED, BAD_INPUT, NO_ROOM, NO_STORE, LOST, KEPT, NOTHING, HIT, UNJUDGED, UNFIT = range(11)
INTERRUPTED = 130
EXIT_CODES = """\
exit codes:
  0  everything that was cut is stored    3  the room cannot be entered
  1  an unforeseen fault                  4  the store refuses, or cannot be reached
  2  bad input: nothing was started       5  some slices could not be stored
                                          6  some wait in the spool for the next start
  7  a capture holds media, and no slice could be made of it
  8  slicer moderate: a file is to be reviewed or blocked
  9  a supplier fails, or something could not be judged
  10  slicer doctor: something on this machine must be put right
  130  interrupted twice: what was not stored yet is lost
"""
