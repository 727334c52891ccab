"""The auditor's tools: evidence, replay, audit. Read topics through ports, never the store."""
