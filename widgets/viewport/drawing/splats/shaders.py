"""The shaders of Gaussian splats, GLSL 3.30 core; see ``shaders.py`` for what is common.

A splat is a triangle round the ellipse at which its alpha is 1/255 (EWA splatting, Zwicker et al. 2001, with the
constants of 3-D Gaussian Splatting, Kerbl et al. 2023). Its numbers come from textures: 3 texels of ``body`` (place and
alpha, quaternion w x y z, deviations) and some of ``tint`` (the harmonics, three numbers a coefficient, one after the
other). What follows from them for a camera is worked out once per splat, as the pixels of three textures
(``MADE_FRAGMENT``), from which its corners read it (``SPLAT_VERTEX``).
"""

from __future__ import annotations

from widgets.viewport.drawing.shaders import LIGHTING, PLACING

# fmt: off

READING = """
uniform sampler2D body;
uniform sampler2D tint;
uniform usampler2D flags;     // 1: not drawn, 2: selected; rows of 4096
uniform usamplerBuffer ids;
uniform int first;            // of the ids that this call draws
uniform int there;            // so many splats have been sent
uniform int body_row;         // splats in a row of the texture
uniform int tint_row;
uniform int tint_texels;      // of a splat
uniform vec3 seen_from;       // the eye, or the direction towards it where that is parallel, in the thing's own axes
uniform float perspective;
uniform float size;           // multiplies the deviations
uniform vec3 marked;
uniform vec2 screen;

int id_of(int k) { return int(texelFetch(ids, first + k).r); }
vec4 body_at(int i, int k) { return texelFetch(body, ivec2(i % body_row * 3 + k, i / body_row), 0); }
vec4 tint_at(int i, int k) { return texelFetch(tint, ivec2(i % tint_row * tint_texels + k, i / tint_row), 0); }

int bits_of(int i) {
#ifdef FLAGS
    return int(texelFetch(flags, ivec2(i & 4095, i >> 12), 0).r);
#else
    return 0;
#endif
}

// Spherical harmonics towards d, with the signs of Sloan, Efficient evaluation (2013), as 3DGS has them.
vec3 colour_of(int i, vec3 place) {
    vec4 a = tint_at(i, 0);
    vec3 c = 0.5 + 0.28209479177387814 * a.rgb;
#if DEGREE > 0
    vec3 d = normalize(perspective > 0.0 ? place - seen_from : -seen_from);
    vec4 b = tint_at(i, 1), e = tint_at(i, 2);
    float x = d.x, y = d.y, z = d.z;
    c += 0.4886025119029199 * (-y * vec3(a.a, b.rg) + z * vec3(b.ba, e.r) - x * e.gba);
#endif
#if DEGREE > 1
    float xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    a = tint_at(i, 3); b = tint_at(i, 4); e = tint_at(i, 5);
    c += 1.0925484305920792 * (xy * a.rgb - yz * vec3(a.a, b.rg))
       + 0.31539156525252005 * (2.0 * zz - xx - yy) * vec3(b.ba, e.r) - 1.0925484305920792 * xz * e.gba;
    a = tint_at(i, 6);
    c += 0.5462742152960396 * (xx - yy) * a.rgb;
#endif
#if DEGREE > 2
    b = tint_at(i, 7); e = tint_at(i, 8);
    c += -0.5900435899266435 * y * (3.0 * xx - yy) * vec3(a.a, b.rg) + 2.890611442640554 * xy * z * vec3(b.ba, e.r)
       - 0.4570457994644658 * y * (4.0 * zz - xx - yy) * e.gba;
    a = tint_at(i, 9); b = tint_at(i, 10); e = tint_at(i, 11);
    c += 0.3731763325901154 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * a.rgb
       - 0.4570457994644658 * x * (4.0 * zz - xx - yy) * vec3(a.a, b.rg)
       + 1.445305721320277 * z * (xx - yy) * vec3(b.ba, e.r) - 0.5900435899266435 * x * (xx - 3.0 * yy) * e.gba;
#endif
    return max(c, 0.0);
}

mat3 turn_of(vec4 q) {  // q = w x y z in its x y z w
    float w = q.x, x = q.y, y = q.z, z = q.w;
    return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
                2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
                2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}
"""

FACING = """
uniform mat3 world_normal;
// The direction of the shortest axis, towards the eye, as a colour.
vec3 normal_colour(mat3 turn, vec3 s, vec3 place) {
    vec3 n = s.x <= s.y && s.x <= s.z ? turn[0] : s.y <= s.z ? turn[1] : turn[2];
    vec3 d = perspective > 0.0 ? seen_from - place : seen_from;
    return normalize(world_normal * (dot(n, d) < 0.0 ? -n : n)) * 0.5 + 0.5;
}
"""

FETCHING = PLACING + READING

REACH = """
float reach_of(float alpha) { return sqrt(2.0 * log(alpha * 255.0)) + 1e-3; }  // deviations at which it is 1/255
"""

FOOTPRINT = READING + FACING + """
uniform mat4 clip_from_local;
uniform mat4 view_from_local;
uniform vec2 focal;           // pixels per tangent, or per unit where the view is parallel
uniform vec2 near_far;
uniform vec2 limit;           // x / z and y / z at which the linearised lens is held
#ifdef PLANES
uniform vec4 planes[PLANES];
#endif

// The mean in the picture, -1..1, and how far ahead it is; the ellipse's half axes, in the same units; colour and
// alpha. False where nothing of it is seen.
bool footprint(int i, out vec4 spot, out vec4 axes, out vec4 colour) {
    spot = axes = colour = vec4(0.0);
    int bits = bits_of(i);
    if (i >= there || (bits & 1) != 0) return false;
    vec4 b0 = body_at(i, 0);
    if (!(b0.w * 255.0 >= 1.0)) return false;
#ifdef PLANES
    for (int k = 0; k < PLANES; k++) if (dot(planes[k], vec4(b0.xyz, 1.0)) < 0.0) return false;
#endif
    vec3 t = (view_from_local * vec4(b0.xyz, 1.0)).xyz;
    vec4 c = clip_from_local * vec4(b0.xyz, 1.0);
    float ahead = -t.z;
    if (perspective > 0.0 && ahead <= 0.0) return false;
    vec3 ndc = c.xyz / c.w;
    if (abs(ndc.z) > 1.0) return false;

    vec4 b1 = body_at(i, 1);
    vec3 s = body_at(i, 2).xyz;
    mat3 turn = turn_of(b1), m = mat3(view_from_local) * turn;
    m[0] *= s.x * size; m[1] *= s.y * size; m[2] *= s.z * size;
    vec3 jx, jy;  // rows of the projection's derivative, in pixels
    if (perspective > 0.0) {
        vec2 r = clamp(t.xy / ahead, -limit, limit);
        jx = vec3(focal.x, 0.0, focal.x * r.x) / ahead;
        jy = vec3(0.0, focal.y, focal.y * r.y) / ahead;
    } else {
        jx = vec3(focal.x, 0.0, 0.0);
        jy = vec3(0.0, focal.y, 0.0);
    }
    vec3 u = jx * m, v = jy * m, n = cross(u, v);
    float xx = dot(u, u), yy = dot(v, v), xy = dot(u, v);
    // By the cross product nothing cancels, however thin the ellipse.
    float det = dot(n, n), wide = det + 0.3 * (xx + yy) + 0.09;
    xx += 0.3; yy += 0.3;
    float alpha = b0.w;
#ifdef ANTIALIASED
    alpha *= sqrt(max(2.5e-5, det / wide));
    if (!(alpha * 255.0 >= 1.0)) return false;
#endif
    float half_gap = 0.5 * (xx - yy), root = sqrt(half_gap * half_gap + xy * xy);
    float l1 = 0.5 * (xx + yy) + root, l2 = wide / l1;
    float reach = reach_of(alpha);
    // Half the width and height of the box round the ellipse itself.
    if (any(greaterThan(abs(ndc.xy) - reach * 2.0 / screen * sqrt(vec2(xx, yy)), vec2(1.0)))) return false;
    vec2 e = half_gap >= 0.0 ? vec2(half_gap + root, xy) : vec2(xy, root - half_gap);
    e = dot(e, e) > 0.0 ? normalize(e) : vec2(1.0, 0.0);
    axes = vec4(e * sqrt(l1), vec2(-e.y, e.x) * sqrt(l2)) * reach * 2.0 / screen.xyxy;
#ifdef BY_NORMAL
    colour = vec4(normal_colour(turn, s, b0.xyz), alpha);
#elif defined(BY_DEPTH)
    colour = vec4(vec3(clamp(1.0 - (ahead - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0)), alpha);
#else
    colour = vec4(colour_of(i, b0.xyz), alpha);
#endif
    if ((bits & 2) != 0) colour.rgb = mix(colour.rgb, marked, 0.7);
    spot = vec4(ndc, ahead);
    return true;
}
"""

MADE_FRAGMENT = REACH + FOOTPRINT + """
uniform int many;             // ids from the first on
layout(location = 0) out vec4 spot;
layout(location = 1) out vec4 axes;
layout(location = 2) out vec4 colour;
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    int k = at.x + at.y * ROW;
    spot = axes = colour = vec4(0.0);
    if (k < many) footprint(id_of(k), spot, axes, colour);
}
"""

CORNER = """
out vec3 at;                  // in deviations from the mean, and how far ahead
flat out vec4 colour;
void corner(vec4 spot, vec4 axes, vec2 side) {
    at = vec3(side * reach_of(colour.a), spot.w);
    gl_Position = vec4(spot.xy + side.x * axes.xy + side.y * axes.zw, spot.z, 1.0);
}
"""

SPLAT_VERTEX = REACH + CORNER + """
uniform sampler2D spots;
uniform sampler2D forms;
uniform sampler2D colours;
void main() {
    int k = gl_VertexID / 3, c = gl_VertexID - 3 * k;
    ivec2 from = ivec2(k % ROW, k / ROW);
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    at = vec3(0.0);
    colour = texelFetch(colours, from, 0);
    if (colour.a > 0.0)  // the corners of the least triangle round the unit circle
        corner(texelFetch(spots, from, 0), texelFetch(forms, from, 0), vec2((c - 1) * 1.7320509, c == 1 ? 2.0 : -1.0));
}
"""

SPLAT_FRAGMENT = """
in vec3 at;
flat in vec4 colour;
uniform float opacity;
layout(location = 0) out vec4 paint;
layout(location = 1) out vec4 distance_;
void main() {
    float alpha = min(0.99, colour.a * exp(-0.5 * dot(at.xy, at.xy)));
    if (alpha < 1.0 / 255.0) discard;
    alpha *= opacity;
    paint = vec4(colour.rgb * alpha, alpha);
    distance_ = vec4(at.z * alpha, 0.0, 0.0, alpha);
}
"""

LAY_FRAGMENT = """
uniform sampler2D layer;      // colour times alpha, alpha
uniform sampler2D distances;  // depth times alpha
uniform int pass_;            // 0: colours, 1: depth alone, where more than half is covered
uniform int by_alpha;         // whether alpha is shown, as greys over black
uniform vec4 lens;            // depth -1..1 = (lens.x * -ahead + lens.y) / (lens.z * -ahead + lens.w)
out vec4 paint;
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec4 c = texelFetch(layer, at, 0);
    if (c.a < (pass_ == 1 ? 0.5 : by_alpha != 0 ? 0.0 : 0.0005)) discard;
    float ahead = texelFetch(distances, at, 0).r / c.a;
    float z = (lens.y - lens.x * ahead) / (lens.w - lens.z * ahead);
    gl_FragDepth = clamp(z * 0.5 + 0.5, 0.0, 1.0);
    paint = clamp(c, 0.0, 1.0);
    if (by_alpha != 0) paint = vec4(vec3(c.a), 1.0);
}
"""

POINT_VERTEX = FETCHING + FACING + """
uniform vec2 near_far;
flat out vec3 colour;
void main() {
    int i = id_of(gl_VertexID), bits = bits_of(i);
    vec4 b = body_at(i, 0);
    gl_Position = clip_from_local * vec4(b.xyz, 1.0);
    cut(b.xyz);
    gl_PointSize = max(size, 1.0);
#ifdef BY_NORMAL
    colour = normal_colour(turn_of(body_at(i, 1)), body_at(i, 2).xyz, b.xyz);
#elif defined(BY_DEPTH)
    float ahead = -(view_from_local * vec4(b.xyz, 1.0)).z;
    colour = vec3(clamp(1.0 - (ahead - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0));
#else
    colour = colour_of(i, b.xyz);
#endif
    if ((bits & 2) != 0) { colour = mix(colour, marked, 0.8); gl_PointSize += 1.0; }
    if (i >= there || (bits & 1) != 0 || b.w < 1.0 / 255.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}
"""

POINT_FRAGMENT = """
flat in vec3 colour;
out vec4 paint;
void main() { paint = vec4(clamp(colour, 0.0, 1.0), 1.0); }
"""

ELLIPSOID_VERTEX = FETCHING + """
uniform vec2 focal;
uniform float faintest;       // what is less opaque is left out
flat out mat3 inward;         // from the camera's axes to those in which the ellipsoid is the unit ball
flat out vec3 middle;
flat out vec3 colour;
void main() {
    int i = id_of(gl_VertexID >> 2), bits = bits_of(i);
    vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1) * 2.0 - 1.0;
    vec4 b = body_at(i, 0);
    vec3 s = body_at(i, 2).xyz * size;
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    inward = mat3(1.0); middle = vec3(0.0); colour = vec3(0.0);
    cut(b.xyz);
    middle = (view_from_local * vec4(b.xyz, 1.0)).xyz;
    if (i >= there || (bits & 1) != 0 || b.w < faintest) return;
    s = max(s, max(max(s.x, s.y), s.z) * 1e-3);
    mat3 m = mat3(view_from_local) * turn_of(body_at(i, 1));
    m[0] *= s.x; m[1] *= s.y; m[2] *= s.z;
    inward = inverse(m);
    // A box round the ball that the ellipsoid fits into, as near as its nearest place.
    vec3 most = sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2]);
    float near = perspective > 0.0 ? -middle.z - most.z : 1.0;
    vec4 c = clip_from_local * vec4(b.xyz, 1.0);
    if (perspective > 0.0 && -middle.z <= 0.0) return;
    vec2 wide = perspective > 0.0
        ? (near > 0.0 ? (most.xy + abs(middle.xy / middle.z) * most.z) * focal / near : screen) : most.xy * focal;
    vec2 at = c.xy / c.w + corner * (wide + 1.0) * 2.0 / screen;
    gl_Position = vec4(at, clamp(c.z / c.w, -1.0, 1.0), 1.0);
    colour = colour_of(i, b.xyz);
    if ((bits & 2) != 0) colour = mix(colour, marked, 0.7);
}
"""

ELLIPSOID_FRAGMENT = LIGHTING + """
flat in mat3 inward;
flat in vec3 middle;
flat in vec3 colour;
uniform vec2 screen;
uniform mat4 projection;
uniform mat3 back_turn;       // from the camera's axes to the world's
uniform vec2 near_far;
out vec4 paint;
void main() {
    vec2 ndc = gl_FragCoord.xy / screen * 2.0 - 1.0;
    vec3 origin = vec3(0.0), d = vec3(0.0, 0.0, -1.0);
    vec2 scale = vec2(projection[0][0], projection[1][1]);
    if (perspective > 0.0) d.xy = (ndc + projection[2].xy) / scale;
    else origin.xy = (ndc - projection[3].xy) / scale;
    vec3 o = inward * (origin - middle), way = inward * d;
    float a = dot(way, way), along = -dot(o, way) / a;
    vec3 nearest = o + along * way;
    float under = 1.0 - dot(nearest, nearest);
    if (under < 0.0) discard;
    float t = along - sqrt(under / a);
    vec3 p = origin + t * d, n = normalize((o + t * way) * inward);
    vec4 c = projection * vec4(p, 1.0);
    if (c.z < -c.w) discard;
    gl_FragDepth = clamp(c.z / c.w * 0.5 + 0.5, 0.0, 1.0);
#ifdef BY_NORMAL
    paint = vec4(normalize(back_turn * n) * 0.5 + 0.5, 1.0);
#elif defined(BY_DEPTH)
    paint = vec4(vec3(clamp(1.0 - (-p.z - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0)), 1.0);
#elif defined(SHADED)
    paint = vec4(clamp(colour, 0.0, 1.0) * lit(n, normalize(p)), 1.0);
#else
    paint = vec4(clamp(colour, 0.0, 1.0), 1.0);
#endif
}
"""
