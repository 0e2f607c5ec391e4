"""The shaders of lines, sheets, words, handles and of the whole screen, GLSL 3.30 core; see ``shaders.py``.

Thin things are laid out on the screen by their vertex shader: segments become rectangles as wide as they are to look.
"""

from __future__ import annotations

from widgets.viewport.drawing.shaders import PLACING

# fmt: off

SEGMENTS = PLACING + """
layout(location = 0) in vec3 from_place;
layout(location = 1) in vec3 to_place;
#ifdef RGB
layout(location = 2) in vec3 own;
#endif
uniform vec3 plain;
uniform vec2 screen;
uniform float width;
uniform float alpha;
flat out vec4 colour;
out float across;

// Cuts what is behind the eye off, so that the rest can be laid out on the screen: which part of the way from a to b
// is left, in fractions; false where nothing is.
bool before_eye(vec4 a, vec4 b, out vec2 part) {
    float da = a.z + a.w, db = b.z + b.w;
    part = vec2(0.0, 1.0);
    if (da <= 0.0 && db <= 0.0) return false;
    if (da < 0.0) part.x = da / (da - db) + 1e-6;
    if (db < 0.0) part.y = da / (da - db) - 1e-6;
    return true;
}
// Where a place on the screen goes that has been divided by its w already. What varies linearly in space does so on
// the screen only when it is divided as well.
void put(vec4 p, vec2 shift, vec3 local) {
    cut(local);
#ifdef PLANES
    for (int i = 0; i < PLANES; i++) gl_ClipDistance[i] /= p.w;
#endif
    gl_Position = vec4(p.xyz / p.w, 1.0);
    gl_Position.xy += shift / screen * 2.0;
}
vec3 tint() {
#ifdef RGB
    return own;
#else
    return plain;
#endif
}
"""

LINE_VERTEX = SEGMENTS + """
void main() {
    vec4 a = clip_from_local * vec4(from_place, 1.0), b = clip_from_local * vec4(to_place, 1.0);
    colour = vec4(tint() * alpha, alpha);
    across = 0.0;
    cut(from_place);
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    vec2 part;
    if (!before_eye(a, b, part)) return;
    vec4 p = mix(a, b, part.x), q = mix(a, b, part.y);
    vec2 along = (q.xy / q.w - p.xy / p.w) * screen;
    along = dot(along, along) > 1e-12 ? normalize(along) : vec2(1.0, 0.0);
    across = (gl_VertexID < 2 ? -1.0 : 1.0) * (width * 0.5 + 0.5);
    bool first = (gl_VertexID & 1) == 0;
    put(first ? p : q, vec2(-along.y, along.x) * across, mix(from_place, to_place, first ? part.x : part.y));
}
"""

LINE_FRAGMENT = """
flat in vec4 colour;
in float across;
uniform float width;
out vec4 paint;
void main() {
    float cover = clamp(width * 0.5 + 0.5 - abs(across), 0.0, 1.0);
    if (cover < 0.02) discard;
    paint = colour * cover;
}
"""

ARROW_VERTEX = SEGMENTS + """
// Vertices 0-3: the shaft, 4-6: the head, as two strips joined by vertices without area.
const vec2 SHAPE[9] = vec2[9](vec2(0, -1), vec2(0, 1), vec2(1, -1), vec2(1, 1), vec2(1, 1),
                              vec2(1, -2), vec2(1, -2), vec2(1, 2), vec2(2, 0));
void main() {
    vec3 tip = from_place + to_place;
    vec4 a = clip_from_local * vec4(from_place, 1.0), b = clip_from_local * vec4(tip, 1.0);
    colour = vec4(tint() * alpha, alpha);
    across = 0.0;
    cut(from_place);
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    vec2 part;
    if (!before_eye(a, b, part)) return;
    vec4 p = mix(a, b, part.x), q = mix(a, b, part.y);
    vec2 along = (q.xy / q.w - p.xy / p.w) * screen * 0.5;
    float length_px = length(along);
    if (length_px < 0.3) return;
    along /= length_px;
    float head = min(width * 3.0 + 4.0, length_px * 0.45);
    float t = 1.0 - head / length_px;
    // A fraction of the way on the screen is another one in space, where the farther half is the longer.
    vec4 neck = mix(p, q, clamp(t * p.w / mix(q.w, p.w, t), 0.0, 1.0));
    vec2 shape = SHAPE[gl_VertexID];
    float half_width = abs(shape.y) == 2.0 ? head * 0.5 : width * 0.5;
    vec2 shift = vec2(-along.y, along.x) * sign(shape.y) * half_width;
    put(shape.x == 0.0 ? p : (shape.x == 1.0 ? neck : q), shift, from_place);
}
"""

SHEET_VERTEX = PLACING + """
uniform vec3 corner, side_u, side_v;
out vec2 uv;
void main() {
    uv = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
    vec3 p = corner + uv.x * side_u + uv.y * side_v;
    gl_Position = clip_from_local * vec4(p, 1.0);
    cut(p);
}
"""

SHEET_FRAGMENT = """
in vec2 uv;
uniform sampler2D picture;
uniform float alpha;
out vec4 paint;
void main() {
    vec4 c = texture(picture, vec2(uv.x, 1.0 - uv.y));
    float a = c.a * alpha;
    if (a < 0.004) discard;
    paint = vec4(c.rgb * a, a);
}
"""

WORD_VERTEX = PLACING + """
layout(location = 0) in vec3 at;
layout(location = 1) in vec4 box;     // in the atlas, pixels: x, y, width, height
layout(location = 2) in vec2 shift;   // of the text's centre, pixels to the right and up
uniform vec2 screen;
uniform vec2 atlas;
uniform float pixel;
out vec2 uv;
void main() {
    vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
    gl_Position = clip_from_local * vec4(at, 1.0);
    cut(at);
    if (gl_Position.w <= 0.0) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); uv = vec2(0.0); return; }
    vec2 centre = (gl_Position.xy / gl_Position.w * 0.5 + 0.5) * screen + shift * pixel;
    vec2 low = floor(centre - box.zw * pixel * 0.5 + 0.5);
    gl_Position.xy = ((low + corner * box.zw * pixel) / screen * 2.0 - 1.0) * gl_Position.w;
    uv = (box.xy + vec2(corner.x, 1.0 - corner.y) * box.zw) / atlas;
}
"""

WORD_FRAGMENT = """
in vec2 uv;
uniform sampler2D picture;
uniform float alpha;
out vec4 paint;
void main() {
    paint = texture(picture, uv) * alpha;   // Qt painted it with colours multiplied already
    if (paint.a < 0.01) discard;
}
"""

HANDLE_VERTEX = PLACING + """
layout(location = 0) in vec3 at;
uniform float size;
uniform int hovered;
uniform vec3 plain;
uniform vec3 marked;
flat out vec3 colour;
flat out float side;
void main() {
    gl_Position = clip_from_local * vec4(at, 1.0);
    cut(at);
    side = gl_VertexID == hovered ? size * 1.4 : size;
    gl_PointSize = side;
    colour = gl_VertexID == hovered ? marked : plain;
}
"""

HANDLE_FRAGMENT = """
flat in vec3 colour;
flat in float side;
uniform vec3 rim;
uniform float alpha;
out vec4 paint;
void main() {
    float r = length(gl_PointCoord - 0.5) * side;
    float outer = clamp(side * 0.5 - r, 0.0, 1.0), inner = clamp(side * 0.5 - 1.5 - r, 0.0, 1.0);
    if (outer <= 0.0) discard;
    paint = vec4(mix(rim, colour, inner), 1.0) * outer * alpha;
}
"""

SCREEN_VERTEX = """
out vec2 uv;
void main() {
    vec2 corner = vec2(float((gl_VertexID & 1) * 2), float((gl_VertexID >> 1) * 2));
    uv = corner;
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
"""

GROUND_FRAGMENT = """
in vec2 uv;
uniform vec4 low, high;
uniform vec2 part;      // which part of the whole height this tile shows: bottom, height
out vec4 paint;
void main() {
    float grain = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;   // against banding
    paint = mix(low, high, part.x + uv.y * part.y) + vec4(vec3(grain / 255.0), 0.0);
}
"""

EDL_FRAGMENT = """
in vec2 uv;
uniform sampler2D picture;
uniform sampler2D depths;
uniform vec2 reach;
uniform float strength;
uniform vec4 lens;     // view distance = (lens.x * z + lens.y) / (lens.z * z + lens.w) of z in -1..1
out vec4 paint;
float distance_log(float z) { return log2(max((lens.x * z + lens.y) / (lens.z * z + lens.w), 1e-12)); }
void main() {
    paint = texture(picture, uv);
    float z = texture(depths, uv).r * 2.0 - 1.0;
    if (z >= 1.0) return;
    float here = distance_log(z);
    float sum = 0.0;
    for (int i = 0; i < 4; i++) {
        vec2 way = vec2(i == 0 ? 1.0 : (i == 1 ? -1.0 : 0.0), i == 2 ? 1.0 : (i == 3 ? -1.0 : 0.0));
        float z1 = texture(depths, uv + way * reach).r * 2.0 - 1.0;
        if (z1 < 1.0) sum += max(0.0, here - distance_log(z1));
        else sum += 0.003;   // a faint outline, no more, else lone points would be black
    }
    paint.rgb *= exp(-sum * 60.0 * strength);
}
"""
