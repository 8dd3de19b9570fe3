"""What `mailtier check` looks at, from the CRDs to the certificates, and what to do about each."""
