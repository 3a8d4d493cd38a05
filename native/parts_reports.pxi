# Twins of one part each.
