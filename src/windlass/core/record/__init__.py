"""The record: what of an event may be kept for ever, where it lies in Git, and what follows from many of them.

``flows/record.py`` makes events by it, ``adapters/ledger`` lays them out and checks them by it, the command line and
metrics ask it what they come to. Pure: events in, words and numbers out.
"""
