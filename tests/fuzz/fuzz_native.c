/*
 * Feeds bytes to the native codec as a connection does, request by request, and aborts where the
 * codec breaks a promise of native.h: sizes, limits, views inside the frame, and that encoding a
 * decoded request gives the very bytes that it was decoded from. For libFuzzer, and for replay.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The request, encoded again, is the frame at frame. */
static void check_request(const struct request *request, const uint8_t *frame, uint64_t size,
                          const struct request_limits *limits)
{
    uint8_t header[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    uint32_t header_size = native_encode_request(header, request);
    require(request->key.len <= limits->key_max);
    require(request->value.len <=
            (request->command == REQUEST_SET ? limits->value_max : native_body_max(limits)));
    require(header_size + request->key.len + request->value.len == size);
    require(memcmp(frame, header, header_size) == 0);
    require(request->key.len == 0 || request->key.ptr == frame + header_size);
    require(request->value.len == 0 || request->value.ptr == frame + size - request->value.len);
}

static void feed(const uint8_t *data, size_t size, const struct request_limits *limits)
{
    const uint64_t frame_max = NATIVE_HEADER_SIZE + native_body_max(limits);
    size_t at = 0;
    while (at < size) {
        char message[KVS_ERROR_MESSAGE_MAX] = "";
        struct kvs_error error = KVS_ERROR_INIT(message);
        struct request request;
        uint64_t frame_size;
        enum decode_result result = native_decode_request(bytes_of(data + at, size - at), limits,
                                                          &request, &frame_size, &error);
        switch (result) {
        case DECODE_REQUEST:
            require(frame_size <= size - at);
            check_request(&request, data + at, frame_size, limits);
            break;
        case DECODE_MORE:
            require(frame_size > size - at && frame_size <= frame_max);
            return;
        case DECODE_REJECT:
            require(frame_size >= NATIVE_HEADER_SIZE && frame_size <= frame_max);
            require(error.status < 0 && message[0] != '\0');
            break;
        case DECODE_BROKEN:
            require(error.status < 0 && message[0] != '\0');
            return;
        }
        at = frame_size < size - at ? at + (size_t)frame_size : size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct request_limits small = {16, 32};
    const struct request_limits largest = {NATIVE_KEY_MAX, NATIVE_VALUE_MAX};
    feed(data, size, &small);
    feed(data, size, &largest);
    return 0;
}
