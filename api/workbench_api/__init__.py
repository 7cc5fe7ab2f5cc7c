"""The web services: every kernel as a process of OGC API - Processes.

Nothing here knows any kernel: descriptions, forms and checks all come from the
declarations.
"""
