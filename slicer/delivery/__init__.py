"""From a cut to its store: tries, order, circuits and the spool; knows no task and no room."""
