"""The equipment that tests, the demo and the benches share: real servers, started and stopped in one place."""
