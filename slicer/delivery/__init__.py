"""From a cut to its store: phases, tries, order, circuits and the spool."""
