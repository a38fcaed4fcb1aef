"""Helm charts as data: versions and the ranges over them, what a chart says of itself, what a repository offers."""
