"""The documentation: pages in Markdown, and ``docs.generate``, which writes from the code what the code declares."""
