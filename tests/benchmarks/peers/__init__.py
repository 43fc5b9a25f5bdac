"""The same work in other libraries, as their users write it. They run with an interpreter of their own."""
