"""The shaders of solid things, GLSL 3.30 core; what varies is chosen by #define.

Colours go out multiplied by their alpha. Lights stand still relative to the camera, so shading happens in the camera's
coordinates ("view").
"""

from __future__ import annotations

# fmt: off
PLACING = """
uniform mat4 clip_from_local;
uniform mat4 view_from_local;
#ifdef PLANES
uniform vec4 planes[PLANES];
out float gl_ClipDistance[PLANES];
void cut(vec3 p) { for (int i = 0; i < PLANES; i++) gl_ClipDistance[i] = dot(planes[i], vec4(p, 1.0)); }
#else
void cut(vec3 p) {}
#endif
"""

LIGHTING = """
uniform int light;
uniform float perspective;
float lit(vec3 n, vec3 place) {
    if (light == 1) return 0.2 + 0.8 * max(dot(n, normalize(mix(vec3(0.0, 0.0, 1.0), -place, perspective))), 0.0);
    if (light == 2) return 0.18 + 0.72 * max(dot(n, vec3(-0.448, 0.647, 0.617)), 0.0)
                                + 0.28 * max(dot(n, vec3(0.808, -0.115, 0.577)), 0.0);
    return 1.0;
}
"""

POINT_VERTEX = PLACING + LIGHTING + """
layout(location = 0) in vec3 xyz;
#ifdef RGB
layout(location = 1) in vec3 own;
#endif
#if defined(VALUE) || defined(LABEL)
layout(location = 1) in float own;
#endif
#ifdef NORMALS
layout(location = 2) in vec3 normal;
uniform mat3 world_normal;
uniform mat3 view_normal;
#endif
#ifdef FLAGS
layout(location = 3) in float flags;
#endif
uniform vec3 plain;
uniform vec3 marked;
uniform sampler2D table;
uniform vec2 range;
uniform vec4 height;
uniform vec2 near_far;
uniform float size;
uniform float world_size;
uniform float alpha;
flat out vec4 colour;

void main() {
    gl_Position = clip_from_local * vec4(xyz, 1.0);
    cut(xyz);
    gl_PointSize = max(world_size > 0.0 ? world_size / gl_Position.w : size, 1.0);
    vec3 place = (view_from_local * vec4(xyz, 1.0)).xyz;
    vec3 c = plain;
#ifdef RGB
    c = own;
#endif
#ifdef VALUE
    float t = (own - range.x) / (range.y - range.x);
    c = t == t ? texture(table, vec2(clamp(t, 0.002, 0.998), 0.5)).rgb : vec3(0.43);
#endif
#ifdef LABEL
    c = texture(table, vec2((own + 0.5) / 256.0, 0.5)).rgb;
#endif
#ifdef HEIGHT
    c = texture(table, vec2(clamp(dot(height, vec4(xyz, 1.0)), 0.002, 0.998), 0.5)).rgb;
#endif
#ifdef NORMALS
    bool known = dot(normal, normal) > 0.01;
#ifdef BY_NORMAL
    c = known ? normalize(world_normal * normal) * 0.5 + 0.5 : vec3(0.5);
#endif
#ifdef SHADED
    if (known) {
        vec3 m = normalize(view_normal * normal);
        c *= lit(dot(m, place) > 0.0 ? -m : m, place);
    }
#endif
#else
#ifdef BY_NORMAL
    c = vec3(0.5);
#endif
#endif
#ifdef BY_DEPTH
    c = vec3(clamp(1.0 - (-place.z - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0));
#endif
#ifdef FLAGS
    int bits = int(flags + 0.5);
    if ((bits & 2) != 0) { c = mix(c, marked, 0.8); gl_PointSize += 1.0; }
    if ((bits & 1) != 0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
#endif
    colour = vec4(c * alpha, alpha);
}
"""

POINT_FRAGMENT = """
flat in vec4 colour;
out vec4 paint;
void main() {
#ifdef ROUND
    vec2 d = gl_PointCoord - 0.5;
    if (dot(d, d) > 0.25) discard;
#endif
    paint = colour;
}
"""

MESH_VERTEX = PLACING + """
layout(location = 0) in vec3 xyz;
#ifdef RGB
layout(location = 1) in vec3 own;
out vec3 tint;
#endif
#ifdef VALUE
layout(location = 1) in float own;
out float value;
uniform vec2 range;
#endif
#ifdef TEXTURE
layout(location = 1) in vec2 own;
out vec2 uv;
#endif
#ifdef NORMALS
layout(location = 2) in vec3 normal;
out vec3 n_local;
#endif
#ifdef HEIGHT
uniform vec4 height;
out float value;
#endif
out vec3 place;

void main() {
    gl_Position = clip_from_local * vec4(xyz, 1.0);
    cut(xyz);
    place = (view_from_local * vec4(xyz, 1.0)).xyz;
#ifdef RGB
    tint = own;
#endif
#ifdef VALUE
    value = (own - range.x) / (range.y - range.x);
#endif
#ifdef TEXTURE
    uv = own;
#endif
#ifdef NORMALS
    n_local = normal;
#endif
#ifdef HEIGHT
    value = dot(height, vec4(xyz, 1.0));
#endif
}
"""

MESH_FRAGMENT = LIGHTING + """
in vec3 place;
#ifdef RGB
in vec3 tint;
#endif
#if defined(VALUE) || defined(HEIGHT)
in float value;
uniform sampler2D table;
#endif
#ifdef TEXTURE
in vec2 uv;
uniform sampler2D picture;
#endif
#ifdef NORMALS
in vec3 n_local;
#endif
uniform mat3 world_normal;
uniform mat3 view_normal;
#ifdef FLAGS
uniform usampler2D flags;
uniform int first_face;
#endif
uniform vec3 plain;
uniform vec3 marked;
uniform float alpha;
uniform vec2 near_far;
uniform mat3 world_turn;
uniform bool tint_back;
uniform bool mirrored;
out vec4 paint;

void main() {
    vec3 c = plain;
    float a = alpha;
    bool front = gl_FrontFacing != mirrored;
#ifdef FLAGS
    int face = gl_PrimitiveID + first_face;
    uint bits = texelFetch(flags, ivec2(face & 4095, face >> 12), 0).r;
    if ((bits & 1u) != 0u) discard;
#endif
#ifdef RGB
    c = tint;
#endif
#if defined(VALUE) || defined(HEIGHT)
    c = value == value ? texture(table, vec2(clamp(value, 0.002, 0.998), 0.5)).rgb : vec3(0.43);
#endif
#ifdef TEXTURE
    vec4 texel = texture(picture, uv);
    c = texel.rgb;
    a *= texel.a;
    if (a < 0.01) discard;
#endif
    // A triangle's own normal, out of the screen's slopes, which always looks at the eye.
    vec3 flat_view = normalize(cross(dFdx(place), dFdy(place))) * (front ? 1.0 : -1.0);
#ifdef NORMALS
    vec3 n = normalize(view_normal * n_local);
    vec3 n_world = normalize(world_normal * n_local);
#else
    vec3 n = flat_view;
    vec3 n_world = transpose(world_turn) * flat_view;
#endif
#ifdef BY_NORMAL
    c = n_world * 0.5 + 0.5;
#endif
#ifdef BY_DEPTH
    c = vec3(clamp(1.0 - (-place.z - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0));
#endif
#ifdef SHADED
    if (!front && tint_back) c = mix(c, vec3(0.86, 0.33, 0.28), 0.65);
    c *= lit(front ? n : -n, place);
#endif
#ifdef FLAGS
    if ((bits & 2u) != 0u) c = mix(c, marked, 0.65);
#endif
    paint = vec4(c * a, a);
}
"""

EDGE_VERTEX = PLACING + """
layout(location = 0) in vec3 xyz;
void main() {
    gl_Position = clip_from_local * vec4(xyz, 1.0);
    gl_Position.z -= 2e-5 * gl_Position.w;
    cut(xyz);
}
"""

EDGE_FRAGMENT = """
uniform vec4 colour;
#ifdef FLAGS
uniform usampler2D flags;
uniform int first_face;
#endif
out vec4 paint;
void main() {
#ifdef FLAGS
    int face = gl_PrimitiveID + first_face;
    if ((texelFetch(flags, ivec2(face & 4095, face >> 12), 0).r & 1u) != 0u) discard;
#endif
    paint = colour;
}
"""
