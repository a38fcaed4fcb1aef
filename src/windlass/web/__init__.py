"""What the controller answers over HTTP: probes, metrics and push hooks. It looks and asks; it decides nothing."""
