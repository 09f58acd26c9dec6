-- The keys of SHA-512/256 (SIP digest) and SHA-512 (SCRAM). NULL where the account was made before, or imported without.
ALTER TABLE accounts ADD COLUMN sha512_256 {bytes};
ALTER TABLE accounts ADD COLUMN sha512_256_whole {bytes};
ALTER TABLE accounts ADD COLUMN scram_sha512_iterations {integer};
ALTER TABLE accounts ADD COLUMN scram_sha512_salt {bytes};
ALTER TABLE accounts ADD COLUMN scram_sha512_stored {bytes};
ALTER TABLE accounts ADD COLUMN scram_sha512_server {bytes};
