"""Desired, live and ownership to a Plan: match, ownership, adoption, prune, stages; and drift, found and explained."""
