/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/stream.h"

#define OPCODE_TEXT 1

/* What goes out, frame by frame: pongs overtake text in libsoup's queue and must not count as it. */
struct out_frame {
    uint8_t head[10];
    unsigned have;
    uint64_t left;
    bool text;
};

struct _SpCpStream {
    GIOStream parent_instance;
    GIOStream *base;
    GInputStream *input;
    GOutputStream *output;
    size_t message_max;
    size_t message;  /* read since the last whole message */
    size_t turn;     /* read since the base last had nothing */
    size_t unproven; /* read since the peer was last seen to take bytes */
    uint64_t pending;
    struct out_frame frame;
};

G_DECLARE_FINAL_TYPE(SpCpStream, sp_cp_stream, SP_CP, STREAM, GIOStream)
G_DEFINE_FINAL_TYPE(SpCpStream, sp_cp_stream, G_TYPE_IO_STREAM)

/* ---- reading -------------------------------------------------------------------------------- */

struct _SpCpInput {
    GFilterInputStream parent_instance;
    SpCpStream *stream; /* borrowed: it owns us */
};

static void input_pollable_init(GPollableInputStreamInterface *iface);
G_DECLARE_FINAL_TYPE(SpCpInput, sp_cp_input, SP_CP, INPUT, GFilterInputStream)
G_DEFINE_FINAL_TYPE_WITH_CODE(SpCpInput,
                              sp_cp_input,
                              G_TYPE_FILTER_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    input_pollable_init))

static GPollableInputStream *
input_base(GPollableInputStream *pollable)
{
    return G_POLLABLE_INPUT_STREAM(
        g_filter_input_stream_get_base_stream(G_FILTER_INPUT_STREAM(pollable)));
}

static bool
peer_takes_bytes(SpCpStream *s)
{
    GOutputStream *base = g_filter_output_stream_get_base_stream(G_FILTER_OUTPUT_STREAM(s->output));

    return g_pollable_output_stream_is_writable(G_POLLABLE_OUTPUT_STREAM(base));
}

/* Returns: may this much more be read? */
static bool
account(SpCpStream *s, size_t n, GError **error)
{
    s->message += n;
    s->turn += n;
    s->unproven += n;
    if (s->message > s->message_max + SP_CP_READ_TURN_MAX) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE, "message too long");
        return false;
    }
    if (s->unproven > SP_CP_READ_STALLED_MAX) {
        if (!peer_takes_bytes(s)) {
            g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "peer does not read");
            return false;
        }
        s->unproven = 0;
    }
    return true;
}

static gssize
input_read_nonblocking(GPollableInputStream *pollable, void *buffer, gsize count, GError **error)
{
    SpCpStream *s = SP_CP_INPUT(pollable)->stream;
    gssize n;

    if (s->turn >= SP_CP_READ_TURN_MAX) {
        s->turn = 0;
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "enough for this turn");
        return -1;
    }
    n = g_pollable_input_stream_read_nonblocking(input_base(pollable), buffer, count, NULL, error);
    if (n <= 0) {
        s->turn = 0;
        return n;
    }
    return account(s, (size_t)n, error) ? n : -1;
}

static gboolean
input_can_poll(GPollableInputStream *pollable)
{
    return g_pollable_input_stream_can_poll(input_base(pollable));
}

static gboolean
input_is_readable(GPollableInputStream *pollable)
{
    return g_pollable_input_stream_is_readable(input_base(pollable));
}

static GSource *
input_create_source(GPollableInputStream *pollable, GCancellable *cancellable)
{
    g_autoptr(GSource) base =
        g_pollable_input_stream_create_source(input_base(pollable), cancellable);

    return g_pollable_source_new_full(pollable, base, NULL);
}

static void
input_pollable_init(GPollableInputStreamInterface *iface)
{
    iface->can_poll = input_can_poll;
    iface->is_readable = input_is_readable;
    iface->create_source = input_create_source;
    iface->read_nonblocking = input_read_nonblocking;
}

static void
sp_cp_input_class_init(SpCpInputClass *klass)
{
    (void)klass;
}

static void
sp_cp_input_init(SpCpInput *self)
{
    (void)self;
}

/* ---- writing -------------------------------------------------------------------------------- */

struct _SpCpOutput {
    GFilterOutputStream parent_instance;
    SpCpStream *stream; /* borrowed: it owns us */
};

static void output_pollable_init(GPollableOutputStreamInterface *iface);
G_DECLARE_FINAL_TYPE(SpCpOutput, sp_cp_output, SP_CP, OUTPUT, GFilterOutputStream)
G_DEFINE_FINAL_TYPE_WITH_CODE(SpCpOutput,
                              sp_cp_output,
                              G_TYPE_FILTER_OUTPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                    output_pollable_init))

static GPollableOutputStream *
output_base(GPollableOutputStream *pollable)
{
    return G_POLLABLE_OUTPUT_STREAM(
        g_filter_output_stream_get_base_stream(G_FILTER_OUTPUT_STREAM(pollable)));
}

/* Length of the header of a frame from server to client, as far as it is known. */
static unsigned
head_length(const struct out_frame *f)
{
    unsigned length = f->have > 1 ? f->head[1] & 0x7f : 0;

    if (length == 126)
        return 4;
    return length == 127 ? 10 : 2;
}

static void
head_byte(struct out_frame *f, uint8_t byte)
{
    f->head[f->have++] = byte;
    if (f->have < head_length(f))
        return;
    f->left = f->head[1] & 0x7f;
    if (f->have > 2) {
        f->left = 0;
        for (unsigned i = 2; i < f->have; i++)
            f->left = f->left << 8 | f->head[i];
    }
    f->text = (f->head[0] & 0x0f) == OPCODE_TEXT;
    f->have = 0;
}

static void
note_written(SpCpStream *s, const uint8_t *data, size_t n)
{
    struct out_frame *f = &s->frame;

    s->unproven = 0;
    while (n > 0) {
        size_t chunk = (size_t)SP_MIN((uint64_t)n, f->left);

        if (chunk == 0) {
            head_byte(f, *data);
            chunk = 1;
        } else {
            f->left -= chunk;
            if (f->text)
                s->pending -= SP_MIN(s->pending, (uint64_t)chunk);
        }
        data += chunk;
        n -= chunk;
    }
}

static gssize
output_write_nonblocking(GPollableOutputStream *pollable,
                         const void *buffer,
                         gsize count,
                         GError **error)
{
    gssize n = g_pollable_output_stream_write_nonblocking(output_base(pollable),
                                                          buffer,
                                                          count,
                                                          NULL,
                                                          error);

    if (n > 0)
        note_written(SP_CP_OUTPUT(pollable)->stream, buffer, (size_t)n);
    return n;
}

static gboolean
output_can_poll(GPollableOutputStream *pollable)
{
    return g_pollable_output_stream_can_poll(output_base(pollable));
}

static gboolean
output_is_writable(GPollableOutputStream *pollable)
{
    return g_pollable_output_stream_is_writable(output_base(pollable));
}

static GSource *
output_create_source(GPollableOutputStream *pollable, GCancellable *cancellable)
{
    g_autoptr(GSource) base =
        g_pollable_output_stream_create_source(output_base(pollable), cancellable);

    return g_pollable_source_new_full(pollable, base, NULL);
}

static void
output_pollable_init(GPollableOutputStreamInterface *iface)
{
    iface->can_poll = output_can_poll;
    iface->is_writable = output_is_writable;
    iface->create_source = output_create_source;
    iface->write_nonblocking = output_write_nonblocking;
}

static void
sp_cp_output_class_init(SpCpOutputClass *klass)
{
    (void)klass;
}

static void
sp_cp_output_init(SpCpOutput *self)
{
    (void)self;
}

/* ---- both ----------------------------------------------------------------------------------- */

static GInputStream *
stream_get_input(GIOStream *stream)
{
    return SP_CP_STREAM(stream)->input;
}

static GOutputStream *
stream_get_output(GIOStream *stream)
{
    return SP_CP_STREAM(stream)->output;
}

static gboolean
stream_close(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    return g_io_stream_close(SP_CP_STREAM(stream)->base, cancellable, error);
}

static void
stream_dispose(GObject *object)
{
    SpCpStream *s = SP_CP_STREAM(object);

    /* The parent closes what is still open, for which all parts must be there. */
    G_OBJECT_CLASS(sp_cp_stream_parent_class)->dispose(object);
    g_clear_object(&s->input);
    g_clear_object(&s->output);
    g_clear_object(&s->base);
}

static void
sp_cp_stream_class_init(SpCpStreamClass *klass)
{
    GIOStreamClass *io = G_IO_STREAM_CLASS(klass);

    G_OBJECT_CLASS(klass)->dispose = stream_dispose;
    io->get_input_stream = stream_get_input;
    io->get_output_stream = stream_get_output;
    io->close_fn = stream_close;
}

static void
sp_cp_stream_init(SpCpStream *self)
{
    (void)self;
}

GIOStream *
sp_cp_stream_new(GIOStream *base, size_t message_max)
{
    SpCpStream *s = g_object_new(sp_cp_stream_get_type(), NULL);
    SpCpInput *input = g_object_new(sp_cp_input_get_type(),
                                    "base-stream",
                                    g_io_stream_get_input_stream(base),
                                    "close-base-stream",
                                    FALSE,
                                    NULL);
    SpCpOutput *output = g_object_new(sp_cp_output_get_type(),
                                      "base-stream",
                                      g_io_stream_get_output_stream(base),
                                      "close-base-stream",
                                      FALSE,
                                      NULL);

    input->stream = s;
    output->stream = s;
    s->base = g_object_ref(base);
    s->input = G_INPUT_STREAM(input);
    s->output = G_OUTPUT_STREAM(output);
    s->message_max = message_max;
    return G_IO_STREAM(s);
}

void
sp_cp_stream_message_read(GIOStream *stream)
{
    SP_CP_STREAM(stream)->message = 0;
}

void
sp_cp_stream_queued(GIOStream *stream, size_t n)
{
    SP_CP_STREAM(stream)->pending += n;
}

uint64_t
sp_cp_stream_pending(GIOStream *stream)
{
    return SP_CP_STREAM(stream)->pending;
}
