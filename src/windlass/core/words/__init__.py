"""Plan, drift, status, errors and alerts as plain text: the same words on the command line, in Events and in logs.

Pure functions: the time and the width are arguments. They style nothing: a mark or a word says
what a colour would.
"""
