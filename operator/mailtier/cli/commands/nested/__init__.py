"""Commands within another one, such as `mailtier queue move`, a module each."""
