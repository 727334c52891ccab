"""The policy author's tools: source, check, cases, pack. May touch core and ports."""
