/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/texts.h"

#include "app/cli/cli.h"

#define FDO "org.freedesktop.DBus.Error."
#define SP  "org.sallyport.Tunnel1.Error."

struct text {
    const char *code;
    const char *text;
};

static const struct text states[] = {
    { "disconnected", "Not connected" },
    { "waiting-for-network", "Waiting for a network" },
    { "connecting", "Connecting" },
    { "connected", "Connected" },
    { "disconnecting", "Disconnecting" },
    { "failed", "Failed" },
    { NULL, NULL },
};

static const struct text reasons[] = {
    { "token-invalid", "Your sign-in is not valid any more. Sign in with: sallyport sign-in" },
    { "portal-rejected", "The portal refused this device. Ask the administrator of your account." },
    { "portal-unreachable",
      "The portal cannot be reached. Check the network and, with sallyport settings, its address." },
    { "tunnel-device",
      "The tunnel interface could not be made. See: journalctl -u sallyport-tunneld" },
    { "routing-loop",
      "The service may not mark its own packets, and would have sent them into the "
      "tunnel. See: journalctl -u sallyport-tunneld" },
    { "dns-control",
      "The system's name resolution could not be set up. See: journalctl -u "
      "sallyport-tunneld" },
    { "dns-conflict",
      "Another program manages /etc/resolv.conf in a way that is not understood. "
      "Stop it, or set dns-control=disabled in /etc/sallyport/sallyport.conf." },
    { "owner-gone", "The program that had connected has ended. Connect with: sallyport up" },
    { "internal",
      "The tunnel service met an error of its own. See: journalctl -u "
      "sallyport-tunneld" },
    { NULL, NULL },
};

static const struct sp_cli_problem problems[] = {
    { FDO "ServiceUnknown", SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE },
    { FDO "NameHasNoOwner", SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE },
    { FDO "NoReply",
      SP_CLI_NO_SERVICE,
      "no-reply",
      "The tunnel service stopped before it answered. See: journalctl -u sallyport-tunneld" },
    { FDO "UnknownMethod",
      SP_CLI_FAILURE,
      "not-supported",
      "The tunnel service is of another version and cannot do this. See: sallyport version" },
    { FDO "AccessDenied",
      SP_CLI_DENIED,
      "access-denied",
      "You are not authorised to do this. Run it from your desktop session, as root, or ask an "
      "administrator to add you to the group sallyport." },
    { FDO "InteractiveAuthorizationRequired",
      SP_CLI_DENIED,
      "authorization-required",
      "This needs an authorisation that cannot be asked for here. Run it from your desktop "
      "session, as root, or as a member of the group sallyport." },
    { FDO "LimitsExceeded",
      SP_CLI_FAILURE,
      "limits-exceeded",
      "The tunnel service has too many requests to answer. Try again in a moment." },
    { FDO "InvalidArgs",
      SP_CLI_FAILURE,
      "invalid-args",
      "The tunnel service does not understand the request. See: sallyport version" },
    { SP "NotConnected", SP_CLI_NOT_CONNECTED, "not-connected", SP_CLI_TEXT_DISCONNECTED },
    { SP "SessionOwned",
      SP_CLI_DENIED,
      "session-owned",
      "Another user of this machine is connected, and only an administrator may take over." },
    { SP "Busy",
      SP_CLI_FAILURE,
      "busy",
      "The tunnel service is busy with a change. Try again in a moment." },
    { SP "InvalidToken",
      SP_CLI_SIGNED_OUT,
      "invalid-token",
      "The token was not accepted. Sign in again with: sallyport sign-in" },
    { SP "InvalidUrl",
      SP_CLI_FAILURE,
      "invalid-url",
      "The portal's address is not valid. Correct it in /etc/sallyport/sallyport.conf." },
    { SP "NoSuchResource",
      SP_CLI_FAILURE,
      "no-such-resource",
      "There is no such resource. For a list: sallyport resources" },
    { SP "NotSupported",
      SP_CLI_FAILURE,
      "not-supported",
      "The tunnel service cannot do this. See: sallyport version" },
    { SP "TunnelDevice",
      SP_CLI_FAILURE,
      "tunnel-device",
      "The tunnel interface could not be made. See: journalctl -u sallyport-tunneld" },
    { SP "RoutingLoop",
      SP_CLI_FAILURE,
      "routing-loop",
      "The service may not mark its own packets. See: journalctl -u sallyport-tunneld" },
    { SP "DnsControl",
      SP_CLI_FAILURE,
      "dns-control",
      "The system's name resolution could not be set up. See: journalctl -u sallyport-tunneld" },
    { SP "DnsConflict",
      SP_CLI_FAILURE,
      "dns-conflict",
      "Another program manages /etc/resolv.conf in a way that is not understood." },
    { SP "PortalRejected",
      SP_CLI_FAILURE,
      "portal-rejected",
      "The portal refused this device. Ask the administrator of your account." },
    { SP "Io",
      SP_CLI_FAILURE,
      "io",
      "The tunnel service could not read or write. See: journalctl -u sallyport-tunneld" },
    { SP "Internal",
      SP_CLI_FAILURE,
      "internal",
      "The tunnel service met an error of its own. See: journalctl -u sallyport-tunneld" },
};

static const char *
find(const struct text *table, const char *code)
{
    for (; table->code; table++) {
        if (g_strcmp0(table->code, code) == 0)
            return table->text;
    }
    return code;
}

const char *
sp_cli_text_of_state(const char *state)
{
    return find(states, state);
}

const char *
sp_cli_text_of_reason(const char *reason)
{
    return reason && *reason ? find(reasons, reason) : NULL;
}

const struct sp_cli_problem *
sp_cli_problem_of(const char *dbus_name)
{
    for (guint i = 0; i < G_N_ELEMENTS(problems); i++) {
        if (g_strcmp0(problems[i].dbus_name, dbus_name) == 0)
            return &problems[i];
    }
    return NULL;
}
