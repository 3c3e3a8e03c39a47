"""What the compose service `backup` does around Barman: the role, the slot, when, the files, the way back.

Barman takes the bases, receives the log, throws away what is too old and judges all of it (`barman check`).
This room calls it when it is time, archives the service's own files beside each base with the code that the
embedded database's backups use, and turns a base and the log into a verified cluster in an empty directory.
It never writes into the volume that a running database uses, and deletes nothing of Barman's.
"""
