"""The shaders of pictures with depth and of cameras' photographs, GLSL 3.30 core; see ``shaders.py``.

A picture that was taken from the very eye of the view is looked up by each pixel of the screen, exactly. One from
another eye is bent: its depth becomes a relief, in cells of some pixels.
"""

from __future__ import annotations

from widgets.viewport.drawing.shaders import PLACING

# fmt: off

LOOK_UP = """
uniform sampler2D picture;    // colour times alpha, alpha; row 0 is the top
uniform sampler2D distances;  // depth times alpha, alpha
uniform float alpha;
uniform int pass_;            // 0: colours, 1: depth alone, where the picture covers more than half
uniform int by_depth;
uniform vec2 near_far;
out vec4 paint;

vec4 painted(vec2 uv, float ahead) {
    vec4 c = texture(picture, uv);
    if (by_depth != 0)  // as the depth mode paints other things
        c = vec4(vec3(clamp(1.0 - (ahead - near_far.x) / (near_far.y - near_far.x), 0.0, 1.0)), 1.0) * c.a;
    return c * alpha;
}
"""

SAME_EYE_FRAGMENT = LOOK_UP + """
in vec2 uv;
uniform sampler2D photograph; // as the picture's own camera would have taken it; colour times alpha
uniform float wipe;           // up to which share of the width it lies over the picture
uniform mat3 look;            // (x, y, 1) of the screen, -1..1, to (u w, v w, w) of the picture
uniform vec3 ahead_row;       // its product with (x, y, 1) is how far ahead of the view's eye that is for each w
uniform vec4 lens;            // depth -1..1 = (lens.x * -ahead + lens.y) / (lens.z * -ahead + lens.w)
void main() {
    vec3 xy1 = vec3(uv * 2.0 - 1.0, 1.0);
    vec3 q = look * xy1;
    vec2 at = q.xy / q.z;
    if (q.z <= 0.0 || any(lessThan(at, vec2(0.0))) || any(greaterThan(at, vec2(1.0)))) discard;
    vec2 d = texture(distances, at).rg;
    if (pass_ == 0 && at.x < wipe) {
        vec4 p = texture(photograph, at) * alpha;
        if (p.a < 0.004) discard;
        gl_FragDepth = 0.0;
        paint = p;
        return;
    }
    float cover = d.g * alpha;
    if (cover < (pass_ == 1 ? 0.5 : 0.004)) discard;
    float ahead = dot(ahead_row, xy1) / q.z * (d.r / d.g);
    float z = (lens.y - lens.x * ahead) / (lens.w - lens.z * ahead);
    gl_FragDepth = clamp(z * 0.5 + 0.5, 0.0, 1.0);
    paint = painted(at, ahead);
}
"""

RELIEF_VERTEX = PLACING + """
uniform sampler2D distances;
uniform vec2 cells;           // how many across and down
uniform vec2 half_size;       // of the picture at depth 1
out vec2 uv;
out float ahead;

// Depth at a corner of the cells; below 0 where nothing is.
float depth_at(ivec2 corner) {
    vec2 d = texture(distances, vec2(corner) / cells).rg;
    return d.g > 0.05 ? d.r / d.g : -1.0;
}

void main() {
    const ivec2 CORNERS[6] = ivec2[6](ivec2(0, 0), ivec2(1, 0), ivec2(0, 1), ivec2(1, 0), ivec2(1, 1), ivec2(0, 1));
    int cell = gl_VertexID / 6, wide = int(cells.x);
    ivec2 first = ivec2(cell % wide, cell / wide), corner = first + CORNERS[gl_VertexID % 6];
    float d = depth_at(corner), low = 1e30, high = 0.0;
    for (int k = 0; k < 4; k++) {
        float other = depth_at(first + ivec2(k & 1, k >> 1));
        if (other > 0.0) low = min(low, other);
        high = max(high, other);
    }
    uv = vec2(corner) / cells;
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    ahead = 0.0;
    if (high <= 0.0) return;
    // Across an edge of what is seen the cell stands at the nearer side's depth: a sheet between the two would be seen.
    if (d <= 0.0 || high > low * 1.15) d = low;
    vec3 p = vec3((uv.x * 2.0 - 1.0) * half_size.x, (1.0 - uv.y * 2.0) * half_size.y, -1.0) * d;
    gl_Position = clip_from_local * vec4(p, 1.0);
    ahead = -(view_from_local * vec4(p, 1.0)).z;
    cut(p);
}
"""

RELIEF_FRAGMENT = LOOK_UP + """
in vec2 uv;
in float ahead;
void main() {
    vec4 c = painted(uv, ahead);
    if (c.a < 0.1) discard;
    paint = c;
}
"""

PHOTO_VERTEX = PLACING + """
layout(location = 0) in vec3 upper_left;
layout(location = 1) in vec3 upper_right;
layout(location = 2) in vec3 lower_right;
layout(location = 3) in vec3 lower_left;
layout(location = 4) in vec3 eye;
uniform vec3 seen_from;       // where the view's eye is, in local coordinates
uniform vec2 sheet;           // photographs across and down the texture
out vec2 uv;
void main() {
    int column = gl_VertexID & 1, row = gl_VertexID >> 1;
    vec3 p = row == 0 ? (column == 0 ? upper_left : upper_right) : (column == 0 ? lower_left : lower_right);
    gl_Position = clip_from_local * vec4(p, 1.0);
    cut(p);
    int wide = int(sheet.x);
    uv = (vec2(gl_InstanceID % wide, gl_InstanceID / wide) + vec2(column, row)) / sheet;
    // One's own photograph would hide all that is behind it.
    float depth = distance(eye, (upper_left + lower_right) * 0.5);
    if (distance(eye, seen_from) < 0.8 * depth) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}
"""

PHOTO_FRAGMENT = """
in vec2 uv;
uniform sampler2D picture;
uniform float alpha;
out vec4 paint;
void main() { paint = vec4(texture(picture, uv).rgb, 1.0) * alpha; }
"""
