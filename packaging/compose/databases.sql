-- Beside the database artstore, which the server makes by itself.
CREATE DATABASE artstore_admin;
CREATE DATABASE artstore_query;
