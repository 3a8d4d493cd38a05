"""The log of the `slicer` command: its levels, and lines for people or machines.

The package itself logs by the standard library and configures nothing, for whoever embeds it has a
log of their own. What a line is about stands in its record as the attributes FIELDS (`extra`),
where any handler finds it, structlog's too; so no more than a formatter is needed here.
"""

FIELDS = ("task", "app", "anchor", "request")
"""What a line may be about: a task's id, an application's SdkAppId, an anchor's id, a RequestId."""
