"""Policy: the bundle, the profile of the condition language, the engine, the evaluation."""
