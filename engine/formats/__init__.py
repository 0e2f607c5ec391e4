"""What is written and read: run folders, payloads as files, equations as pictures."""
