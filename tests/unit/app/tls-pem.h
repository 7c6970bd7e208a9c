/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away certificate and key for the name portal.test, valid until 2126. Made for the tests
 * with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
 * -subj /CN=portal.test -addext subjectAltName=DNS:portal.test */
#pragma once

static const char test_tls_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmzCCAUGgAwIBAgIUfsFUBH3zPJ7NsCuMcsn3RfOEZbMwCgYIKoZIzj0EAwIw\n"
    "FjEUMBIGA1UEAwwLcG9ydGFsLnRlc3QwIBcNMjYxMTIyMTc1MzM0WhgPMjEyNjEw\n"
    "MjkxNzUzMzRaMBYxFDASBgNVBAMMC3BvcnRhbC50ZXN0MFkwEwYHKoZIzj0CAQYI\n"
    "KoZIzj0DAQcDQgAEq+r5xe+OOhUxy5YQ9RVftagFtK+91N+mKwE12VZHtju59LyP\n"
    "tPDDW9sV5UZvZNZiXh/y01M6wpueR3sb99vGOqNrMGkwHQYDVR0OBBYEFJwLVJo5\n"
    "iK8O1ci6AEQNJywmE4B4MB8GA1UdIwQYMBaAFJwLVJo5iK8O1ci6AEQNJywmE4B4\n"
    "MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILcG9ydGFsLnRlc3QwCgYIKoZI\n"
    "zj0EAwIDSAAwRQIgH5YEhFqKInuwRQ7qYQMWYE7AO4PZqipqWEoTi8U588cCIQCD\n"
    "a5yBfGaOpJ1Z8cbTDf0e9GwqjCjZEYrdQMPpaTlIZQ==\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYO5zBUgdlEwib6dn\n"
    "PsmyrmKy3ZUH2IK3+eB6SVXJ+aShRANCAASr6vnF7446FTHLlhD1FV+1qAW0r73U\n"
    "36YrATXZVke2O7n0vI+08MNb2xXlRm9k1mJeH/LTUzrCm55Hexv328Y6\n"
    "-----END PRIVATE KEY-----\n";
