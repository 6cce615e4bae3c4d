/* Message types: the table, user types, variable fields. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"

static const horus_type *const types[] = {
#define X(snake, name, topic) &horus_##snake##_type,
    HORUS_MESSAGES(X)
#undef X
};
static const size_t sizes[] = {
#define X(snake, name, topic) sizeof(horus_##snake),
    HORUS_MESSAGES(X)
#undef X
};
static const char *const names[] = {
#define X(snake, name, topic) #name,
    HORUS_MESSAGES(X)
#undef X
};
static const char *const topics[] = {
#define X(snake, name, topic) topic,
    HORUS_MESSAGES(X)
#undef X
};
enum { TYPES = sizeof types / sizeof types[0] };

static const uint32_t scalar_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1, 1};
/* Bytes that a field takes in the fixed part. */
static uint32_t field_bytes(const horus_field *f)
{
    if (f->count == 0)
        return sizeof(horus_array);
    return f->count *
           (f->scalar == HORUS_SCALAR_message ? f->nested->size : scalar_bytes[f->scalar]);
}
static uint32_t field_align(const horus_field *f)
{
    if (f->count == 0)
        return 4;
    if (f->scalar != HORUS_SCALAR_message)
        return scalar_bytes[f->scalar];
    uint32_t n, most = 1;
    const horus_field *inner = f->nested->fields(&n);
    for (uint32_t i = 0; i < n; i++)
        most = field_align(&inner[i]) > most ? field_align(&inner[i]) : most;
    return most;
}
static uint32_t type_align(const horus_type *t)
{
    const horus_field whole = {"", t, 0, 1, HORUS_SCALAR_message};
    return field_align(&whole);
}

TEST(every_type_has_a_name_a_topic_and_a_tag_of_its_own)
{
    _Static_assert(TYPES >= 70, "the table");
    for (uint32_t i = 0; i < TYPES; i++) {
        const horus_type *t = types[i];
        CHECK(strcmp(t->name, names[i]) == 0);
        CHECK(strcmp(t->topic, topics[i]) == 0);
        CHECK(strlen(t->name) > 0 && strlen(t->name) < 64); /* it travels in 64 bytes */
        CHECK_EQ(horusi_check_name("topic", t->topic), HORUS_OK);
        CHECK_EQ(t->size, sizes[i]);
        CHECK_EQ(t->kind, HORUS_KIND_MESSAGE);
        CHECK(horus_type_tag(t) != 0);
        CHECK_EQ(horus_type_tag(t), horus_type_tag(t));
        for (uint32_t k = 0; k < i; k++) {
            CHECK(horus_type_tag(t) != horus_type_tag(types[k]));
            CHECK(strcmp(t->name, types[k]->name) != 0);
            CHECK(strcmp(t->topic, types[k]->topic) != 0);
        }
    }
    static const horus_type *const frames[] = {&horus_image_type, &horus_depth_type,
                                               &horus_cloud_type, &horus_tensor_type};
    for (int i = 0; i < 4; i++) {
        CHECK(horus_type_tag(frames[i]) != 0);
        for (uint32_t k = 0; k < TYPES; k++)
            CHECK(horus_type_tag(frames[i]) != horus_type_tag(types[k]));
        for (int k = 0; k < i; k++)
            CHECK(horus_type_tag(frames[i]) != horus_type_tag(frames[k]));
    }
    CHECK_EQ(horus_type_tag(NULL), 0);
}

TEST(fields_lie_inside_their_message_one_after_the_other)
{
    for (uint32_t i = 0; i < TYPES; i++) {
        uint32_t n = 0, end = 0;
        const horus_field *f = types[i]->fields(&n);
        CHECK(n > 0);
        for (uint32_t k = 0; k < n; k++) {
            CHECK(f[k].name && strlen(f[k].name) > 0 && strlen(f[k].name) < 64);
            CHECK(f[k].scalar <= HORUS_SCALAR_message);
            CHECK_EQ(f[k].nested != NULL, f[k].scalar == HORUS_SCALAR_message);
            CHECK(f[k].offset >= end);
            CHECK_EQ(f[k].offset % field_align(&f[k]), 0);
            CHECK(f[k].offset - end < field_align(&f[k])); /* no more padding than need be */
            end = f[k].offset + field_bytes(&f[k]);
            CHECK(end <= types[i]->size);
            for (uint32_t m = 0; m < k; m++)
                CHECK(strcmp(f[k].name, f[m].name) != 0);
        }
        CHECK(types[i]->size - end < 8);
        CHECK_EQ(types[i]->size % type_align(types[i]), 0);
        CHECK(strcmp(f[0].name, "timestamp_ns") == 0); /* the convention of the table */
        CHECK_EQ(f[0].scalar, HORUS_SCALAR_u64);
    }
}

TEST(layout_does_not_depend_on_the_word_size)
{
    /* 32-bit x86 would align 64-bit fields to 4 by itself */
    _Static_assert(sizeof(horus_array) == 8, "array");
    _Static_assert(sizeof(horus_imu) == 8 + 8 * 10 + 8 * 27, "imu");
    _Static_assert(sizeof(horus_cmd_vel) == 16, "cmd_vel");
    _Static_assert(offsetof(horus_motor_command, target) == 16, "motor_command");
    _Static_assert(offsetof(horus_nav_sat_fix, satellites_visible) == 34, "nav_sat_fix");
    _Static_assert(sizeof(horus_servo_command) == 24, "servo_command");
    _Static_assert(offsetof(horus_laser_scan, ranges) == 28 && sizeof(horus_laser_scan) == 40,
                   "laser_scan");
    _Static_assert(_Alignof(horus_f64) == 8 && _Alignof(horus_i64) == 8, "alignment");
}

/* ---- types of the user */

#define INNER_FIELDS(F, A, S, N, V, W) F(u8, a) F(f64, b)
HORUS_MESSAGE(inner, "Inner", "inner", INNER_FIELDS)
/* clang-format off */
#define ALL_FIELDS(F, A, S, N, V, W)                                                               \
    F(u8, u8) F(i8, i8) F(u16, u16) F(i16, i16) F(u32, u32) F(i32, i32) F(u64, u64) F(i64, i64)    \
    F(f32, f32) F(f64, f64) F(bool8, flag) A(f32, four, 4) A(u8, three, 3) S(text, 10)             \
    N(inner, nested) V(f32, samples) V(u8, bytes) W(inner, many)
/* clang-format on */
HORUS_MESSAGE(all, "All", "all", ALL_FIELDS)

#define VARIANT_0(F, A, S, N, V, W) F(u32, a) F(u32, b)
#define VARIANT_1(F, A, S, N, V, W) F(u32, b) F(u32, a)
#define VARIANT_2(F, A, S, N, V, W) F(i32, a) F(u32, b)
#define VARIANT_3(F, A, S, N, V, W) A(u32, a, 2)
#define VARIANT_4(F, A, S, N, V, W) F(u32, a) F(u32, bb)
#define VARIANT_5(F, A, S, N, V, W) F(u64, a)
#define VARIANT_6(F, A, S, N, V, W) V(u32, a)
#define VARIANT_7(F, A, S, N, V, W) V(i32, a)
#define VARIANT_8(F, A, S, N, V, W) W(inner, a)
#define VARIANT_9(F, A, S, N, V, W) S(a, 8)
#define VARIANT_10(F, A, S, N, V, W) A(u8, a, 8)
HORUS_MESSAGE(variant_0, "Variant", "v", VARIANT_0)
HORUS_MESSAGE(variant_1, "Variant", "v", VARIANT_1)
HORUS_MESSAGE(variant_2, "Variant", "v", VARIANT_2)
HORUS_MESSAGE(variant_3, "Variant", "v", VARIANT_3)
HORUS_MESSAGE(variant_4, "Variant", "v", VARIANT_4)
HORUS_MESSAGE(variant_5, "Variant", "v", VARIANT_5)
HORUS_MESSAGE(variant_6, "Variant", "v", VARIANT_6)
HORUS_MESSAGE(variant_7, "Variant", "v", VARIANT_7)
HORUS_MESSAGE(variant_8, "Variant", "v", VARIANT_8)
HORUS_MESSAGE(variant_9, "Variant", "v", VARIANT_9)
HORUS_MESSAGE(variant_10, "Variant", "v", VARIANT_10)
HORUS_MESSAGE(renamed, "Renamed", "v", VARIANT_0)

TEST(a_type_of_the_user_describes_its_fields)
{
    static const struct {
        const char *name;
        uint32_t offset, count, scalar;
    } want[] = {
#define AT(name, count, scalar) {#name, offsetof(horus_all, name), count, HORUS_SCALAR_##scalar}
        AT(u8, 1, u8),    AT(i8, 1, i8),        AT(u16, 1, u16),        AT(i16, 1, i16),
        AT(u32, 1, u32),  AT(i32, 1, i32),      AT(u64, 1, u64),        AT(i64, 1, i64),
        AT(f32, 1, f32),  AT(f64, 1, f64),      AT(flag, 1, bool8),     AT(four, 4, f32),
        AT(three, 3, u8), AT(text, 10, text),   AT(nested, 1, message), AT(samples, 0, f32),
        AT(bytes, 0, u8), AT(many, 0, message),
#undef AT
    };
    uint32_t n = 0;
    const horus_field *f = horus_all_type.fields(&n);
    CHECK_EQ(n, sizeof want / sizeof want[0]);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(strcmp(f[i].name, want[i].name) == 0);
        CHECK_EQ(f[i].offset, want[i].offset);
        CHECK_EQ(f[i].count, want[i].count);
        CHECK_EQ(f[i].scalar, want[i].scalar);
    }
    CHECK(f[14].nested == &horus_inner_type && f[17].nested == &horus_inner_type);
    CHECK_EQ(horus_all_type.size, sizeof(horus_all));
    CHECK(strcmp(horus_all_type.name, "All") == 0 && strcmp(horus_all_type.topic, "all") == 0);
    /* processes of any word size must agree: what it is elsewhere */
    CHECK_EQ(horus_type_tag(&horus_all_type), 0x3bbe9793u);
}

TEST(any_difference_in_name_or_fields_shows_in_the_tag)
{
    static const horus_type *const variants[] = {
        &horus_variant_0_type, &horus_variant_1_type, &horus_variant_2_type,  &horus_variant_3_type,
        &horus_variant_4_type, &horus_variant_5_type, &horus_variant_6_type,  &horus_variant_7_type,
        &horus_variant_8_type, &horus_variant_9_type, &horus_variant_10_type, &horus_renamed_type};
    enum { N = sizeof variants / sizeof variants[0] };
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            CHECK(horus_type_tag(variants[i]) != horus_type_tag(variants[k]));
}

/* ---- variable fields */

TEST(variable_fields_come_back_as_they_were_appended)
{
    union {
        horus_all m;
        uint8_t room[8192];
    } u;
    float samples[100];
    uint8_t bytes[33];
    horus_inner many[7];
    for (int round = 0; round < 200; round++) {
        size_t n = sizeof u.m, ns = rng() % 100, nb = rng() % 33, nm = rng() % 7;
        memset(&u, 0xaa, sizeof u);
        memset(&u.m, 0, sizeof u.m);
        memset(many, 0, sizeof many);
        for (int i = 0; i < 100; i++)
            samples[i] = (float)rng();
        for (int i = 0; i < 33; i++)
            bytes[i] = (uint8_t)rng();
        for (int i = 0; i < 7; i++)
            many[i].b = rng();
        CHECK_OK(horus_message_append(&u, sizeof u, &n, &u.m.bytes, bytes, nb, 1));
        CHECK_OK(horus_message_append(&u, sizeof u, &n, &u.m.many, many, nm, sizeof many[0]));
        CHECK_OK(horus_message_append(&u, sizeof u, &n, &u.m.samples, samples, ns, 4));
        CHECK(n <= sizeof u.m + 7 * 3 + nb + nm * sizeof many[0] + ns * 4);
        CHECK(test_is_all(u.room + n, 0xaa, sizeof u - n));
        const void *at;
        size_t count;
        CHECK_OK(horus_message_array(&u, n, &u.m.samples, 4, &at, &count));
        CHECK_EQ(count, ns);
        CHECK(count == 0 ? at == NULL : (uintptr_t)at % 8 == 0);
        CHECK(count == 0 || memcmp(at, samples, ns * 4) == 0);
        CHECK_OK(horus_message_array(&u, n, &u.m.bytes, 1, &at, &count));
        CHECK_EQ(count, nb);
        CHECK(count == 0 || memcmp(at, bytes, nb) == 0);
        CHECK_OK(horus_message_array(&u, n, &u.m.many, sizeof many[0], &at, &count));
        CHECK_EQ(count, nm);
        CHECK(count == 0 || memcmp(at, many, nm * sizeof many[0]) == 0);
    }
}

TEST(append_refuses_what_does_not_fit_and_changes_nothing)
{
    uint8_t room[256], same[256];
    horus_array field = {7, 9}, none = {0, 0};
    static const uint8_t elements[256];
    static const struct {
        size_t room, bytes, count, elem;
    } bad[] = {
        {100, 40, 61, 1},
        {100, 40, 16, 4},
        {100, 97, 1, 1}, /* the next place that is a multiple of 8 is beyond */
        {100, 101, 0, 1},
        {100, 40, SIZE_MAX, 1},
        {100, 40, SIZE_MAX / 4, 4},
        {100, 40, SIZE_MAX / 4 + 1, 4},
        {100, 40, 1, SIZE_MAX},
        {100, SIZE_MAX, 1, 1},
        {100, SIZE_MAX - 3, 1, 1},
        {100, SIZE_MAX, 0, 1},
        {0, 0, 1, 1},
#if SIZE_MAX > UINT32_MAX /* room enough, but an array has 32 bits for each number */
        {SIZE_MAX, 40, (size_t)1 << 32, 1},
        {SIZE_MAX, (size_t)1 << 32, 1, 1},
#endif
    };
    memset(room, 0x31, sizeof room);
    memcpy(same, room, sizeof room);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t bytes = bad[i].bytes;
        horus_array f = field;
        if (!CHECK_RESULT(horus_message_append(room, bad[i].room, &bytes, &f, elements,
                                               bad[i].count, bad[i].elem),
                          HORUS_E_SIZE))
            test_failed(__FILE__, __LINE__, "in case %u", (unsigned)i);
        CHECK(bytes == bad[i].bytes && memcmp(&f, &field, sizeof f) == 0);
        CHECK(memcmp(room, same, sizeof room) == 0);
    }
    size_t bytes = 40;
    CHECK_RESULT(horus_message_append(NULL, 100, &bytes, &field, elements, 1, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_message_append(room, 100, NULL, &field, elements, 1, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_message_append(room, 100, &bytes, NULL, elements, 1, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_message_append(room, 100, &bytes, &field, NULL, 1, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_message_append(room, 100, &bytes, &field, elements, 1, 0), HORUS_E_ARG);
    CHECK_EQ(bytes, 40);
    CHECK(memcmp(room, same, sizeof room) == 0);
    CHECK_OK(horus_message_append(room, 100, &bytes, &none, NULL, 0, 1)); /* nothing is something */
    CHECK_EQ(none.count, 0);
    bytes = 41;
    CHECK_OK(horus_message_append(room, 100, &bytes, &field, elements, 52, 1));
    CHECK_EQ(field.offset, 48);
    CHECK_EQ(bytes, 100);
    CHECK(test_is_all(room + 41, 0, 59)); /* the gap too: no old bytes travel */
    CHECK(test_is_all(room + 100, 0x31, 156));
}

TEST(hostile_arrays_are_refused)
{
    static const struct {
        uint32_t offset, count;
        size_t bytes, elem;
    } bad[] = {
        {101, 1, 100, 1},
        {100, 1, 100, 1},
        {93, 1, 100, 8},
        {0, 101, 100, 1},
        {0, 26, 100, 4},
        {4, 25, 100, 4},
        {UINT32_MAX, 1, 100, 1},
        {0, UINT32_MAX, 100, 1},
        {0, UINT32_MAX, 100, 0x40000000},
        {8, 0x20000000, 100, 8},
        {8, 0x10000001, 100, 16},
        {8, 1, 100, SIZE_MAX},
        {8, 2, 100, SIZE_MAX / 2 + 1},
        {0, 1, 0, 1},
        {UINT32_MAX, UINT32_MAX, 100, 1},
        {UINT32_MAX - 7, 8, 100, 1},
    };
    uint8_t message[100];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        horus_array f = {bad[i].offset, bad[i].count};
        const void *at = message;
        size_t count = 1;
        if (!CHECK_RESULT(horus_message_array(message, bad[i].bytes, &f, bad[i].elem, &at, &count),
                          HORUS_E_CORRUPT))
            test_failed(__FILE__, __LINE__, "in case %u", (unsigned)i);
        CHECK(at == NULL && count == 0);
    }
    horus_array f = {UINT32_MAX, 0}; /* no elements lie nowhere */
    const void *at = message;
    size_t count = 1;
    CHECK_OK(horus_message_array(message, 100, &f, 8, &at, &count));
    CHECK(at == NULL && count == 0);
    f = (horus_array){92, 1};
    CHECK_OK(horus_message_array(message, 100, &f, 8, &at, &count));
    CHECK(at == message + 92 && count == 1);
    CHECK_RESULT(horus_message_array(NULL, 100, &f, 8, &at, &count), HORUS_E_ARG);
    CHECK(at == NULL && count == 0);
    CHECK_RESULT(horus_message_array(message, 100, NULL, 8, &at, &count), HORUS_E_ARG);
    CHECK_RESULT(horus_message_array(message, 100, &f, 8, NULL, &count), HORUS_E_ARG);
    CHECK_RESULT(horus_message_array(message, 100, &f, 8, &at, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_message_array(message, 100, &f, 0, &at, &count), HORUS_E_ARG);
}

TEST(arrays_at_random_never_leave_the_message)
{
    static uint8_t message[4096];
    uint64_t fine = 0;
    for (int i = 0; i < 200000; i++) {
        size_t bytes = rng() % 4096, elem = 1 + rng() % 40, count;
        horus_array f = {rng() % (1u << rng() % 24), rng() % (1u << rng() % 24)};
        const void *at;
        horus_result r = horus_message_array(message, bytes, &f, elem, &at, &count);
        if (r != HORUS_OK) {
            CHECK_EQ(r, HORUS_E_CORRUPT);
            CHECK(at == NULL && count == 0);
            continue;
        }
        fine++;
        CHECK_EQ(count, f.count);
        CHECK(count == 0 || (const uint8_t *)at + count * elem <= (const uint8_t *)message + bytes);
    }
    CHECK(fine > 1000);
}

/* ---- through a topic */

static void child_echoes(void *arg)
{
    horus_topic *in, *out;
    union {
        horus_detections m;
        uint8_t room[4096];
    } u;
    horus_info info;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&in, "there", &(horus_topic_desc){.type = &horus_detections_type}));
    REQUIRE_OK(horus_topic_open(&out, "back", &(horus_topic_desc){.type = &horus_detections_type}));
    test_raise(0);
    for (int i = 0; i < 20; i++) {
        REQUIRE_OK(horus_topic_receive(in, &u, sizeof u, &info, HORUS_FOREVER));
        REQUIRE_OK(horus_topic_send(out, &u, info.size, 0));
    }
    horus_topic_close(in);
    horus_topic_close(out);
}
TEST(messages_with_variable_fields_travel_whole)
{
    horus_context *c = join(8 * MiB);
    horus_topic *there, *back;
    horus_topic_desc d = {.type = &horus_detections_type, .context = c};
    REQUIRE_OK(horus_topic_open(&there, "there", &d));
    REQUIRE_OK(horus_topic_open(&back, "back", &d));
    pid_t pid = test_fork(child_echoes, NULL);
    test_await(0);
    for (uint32_t i = 0; i < 20; i++) { /* from none to more than fit inline */
        union {
            horus_detections m;
            uint8_t room[4096];
        } u, v;
        horus_detection item[20];
        size_t n = sizeof u.m, count;
        horus_info info;
        const void *at;
        memset(&u, 0, sizeof u);
        memset(item, 0, sizeof item);
        u.m.image_seq = i;
        for (uint32_t k = 0; k < i; k++) {
            (void)snprintf(item[k].class_name, sizeof item[k].class_name, "class %u", k);
            item[k].bbox.x = (float)k;
        }
        REQUIRE_OK(horus_message_append(&u, sizeof u, &n, &u.m.items, item, i, sizeof item[0]));
        CHECK_OK(horus_topic_send(there, &u, n, 0));
        REQUIRE_OK(horus_topic_receive(back, &v, sizeof v, &info, HORUS_FOREVER));
        CHECK_EQ(info.size, n);
        CHECK_EQ(info.type_tag, horus_type_tag(&horus_detections_type));
        CHECK(memcmp(&u, &v, n) == 0);
        CHECK_OK(
            horus_message_array(&v, info.size, &v.m.items, sizeof(horus_detection), &at, &count));
        CHECK_EQ(count, i);
        CHECK(count == 0 || memcmp(at, item, i * sizeof item[0]) == 0);
    }
    CHECK_JOIN(pid);
    horus_topic_close(there);
    horus_topic_close(back);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(every_type_of_the_table_travels)
{
    horus_context *c = join(32 * MiB);
    uint8_t out[8192], in[8192];
    for (uint32_t i = 0; i < TYPES; i++) {
        horus_topic *t;
        horus_info info;
        horus_topic_desc d = {.context = c, .type = types[i], .capacity = 4};
        REQUIRE(types[i]->size <= sizeof out);
        REQUIRE_OK(horus_topic_open(&t, types[i]->topic, &d));
        for (uint32_t k = 0; k < types[i]->size; k++)
            out[k] = (uint8_t)rng();
        CHECK_OK(horus_topic_send(t, out, types[i]->size, 0));
        CHECK_OK(horus_topic_receive(t, in, sizeof in, &info, 0));
        CHECK_EQ(info.size, types[i]->size);
        CHECK(memcmp(in, out, types[i]->size) == 0);
        horus_topic_close(t);
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}
