"""The contract with the outside: kinds, names, reasons, and the documents that parts of Mailtier exchange."""
