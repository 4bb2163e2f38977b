"""Labeled features and images: files of several formats, the digits that come with the package, the images that others install,
synthetic mixtures of subspaces, and generated shapes with masks."""

from mcr2_landscape.data.builtin import digits as digits
from mcr2_landscape.data.faces import faces as faces
from mcr2_landscape.data.files import load_features as load_features
from mcr2_landscape.data.images import LabeledImages as LabeledImages
from mcr2_landscape.data.images import check_images as check_images
from mcr2_landscape.data.images import digit_images as digit_images
from mcr2_landscape.data.images import face_images as face_images
from mcr2_landscape.data.images import mnist_images as mnist_images
from mcr2_landscape.data.labeled import LabeledFeatures as LabeledFeatures
from mcr2_landscape.data.pictures import picture_patches as picture_patches
from mcr2_landscape.data.shapes import shapes as shapes
from mcr2_landscape.data.synthetic import gaussian_subspaces as gaussian_subspaces
from mcr2_landscape.data.synthetic import subspace_mixture as subspace_mixture
